package rack

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// ensureJoined lets a host join the data center and starts its daemon, unless
// it has joined before.
func (r *Rack) ensureJoined(ctx context.Context, c *adminapi.Client, h host) error {
	if r.hasJoined(h) {
		return nil
	}
	if err := r.enroll(ctx, c, h); err != nil {
		return err
	}
	return r.startDaemon(h)
}

// hasJoined reports whether a host has what it needs to take part: its last
// file is there.
func (r *Rack) hasJoined(h host) bool {
	switch {
	case h == r.heads()[0]:
		return r.rec.Initialized
	case h.role == roleHead:
		return isThere(filepath.Join(r.stateDir(h), "head.json"))
	}
	return isThere(filepath.Join(r.identity(h), "gossip.json"))
}

// enroll gives a node its identity, once.
func (r *Rack) enroll(ctx context.Context, c *adminapi.Client, h host) error {
	enrolled, err := join.Exists(r.identity(h))
	if err != nil {
		return fmt.Errorf("cannot look for the identity of %s: %w", h.name, err)
	}
	if enrolled {
		return nil
	}
	keyPEM, csrPEM, err := pki.NewRequest()
	if err != nil {
		return err
	}
	answer, err := c.EnrollNode(ctx, adminapi.EnrollRequest{Name: h.name, Address: at(h, wirePort), CSR: csrPEM, Overcommit: nodeOvercommit})
	if err != nil {
		return fmt.Errorf("cannot enroll %s: %w", h.name, err)
	}
	if err := join.Save(r.identity(h), keyPEM, answer); err != nil {
		return fmt.Errorf("cannot write the identity of %s: %w", h.name, err)
	}
	return nil
}

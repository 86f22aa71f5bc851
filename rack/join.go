package rack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/pki"
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

// gossipFile is gossip.json in an agent's identity folder, as spearhead node
// enroll writes it.
type gossipFile struct {
	Key   []byte   `json:"gossip_key"`
	Label string   `json:"label"`
	Join  []string `json:"gossip_join"`
}

// enroll gives a node its identity, once. gossip.json is written last: with
// it the identity is whole.
func (r *Rack) enroll(ctx context.Context, c *adminapi.Client, h host) error {
	last := filepath.Join(r.identity(h), "gossip.json")
	if _, err := os.Stat(last); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot look for the identity of %s: %w", h.name, err)
	}
	keyPEM, csrPEM, err := pki.NewRequest()
	if err != nil {
		return err
	}
	enrolled, err := c.EnrollNode(ctx, adminapi.EnrollRequest{Name: h.name, Address: at(h, wirePort), CSR: csrPEM, Overcommit: nodeOvercommit})
	if err != nil {
		return fmt.Errorf("cannot enroll %s: %w", h.name, err)
	}
	if err := os.MkdirAll(r.identity(h), 0o700); err != nil {
		return fmt.Errorf("cannot write the identity of %s: %w", h.name, err)
	}
	if err := pki.Save(r.identity(h), keyPEM, enrolled.Certificate, enrolled.CA); err != nil {
		return err
	}
	if err := atomicfile.WriteJSON(last, gossipFile{enrolled.GossipKey, enrolled.Label, enrolled.GossipJoin}, 0o600); err != nil {
		return fmt.Errorf("cannot write the identity of %s: %w", h.name, err)
	}
	return nil
}

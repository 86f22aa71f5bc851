package rack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// ensureJoined lets a host join the data center as an operator would, by a
// token, and starts its daemon; unless it has joined before.
func (r *Rack) ensureJoined(ctx context.Context, c *adminapi.Client, h host) error {
	joined, err := r.hasJoined(h)
	if joined || err != nil {
		return err
	}
	if err := r.join(ctx, c, h); err != nil {
		return fmt.Errorf("cannot have %s join: %w", h.name, err)
	}
	return r.startDaemon(h)
}

// hasJoined reports whether a host has what it needs to take part.
func (r *Rack) hasJoined(h host) (bool, error) {
	switch {
	case h == r.heads()[0]:
		return r.rec.Initialized, nil
	case h.role == roleHead:
		return isThere(filepath.Join(r.stateDir(h), "head.json")), nil // written last
	}
	joined, err := join.Exists(r.identity(h))
	if err != nil {
		return false, fmt.Errorf("cannot look for the identity of %s: %w", h.name, err)
	}
	return joined, nil
}

// join calls the program that an operator calls on the machine. What a join
// that was interrupted has left is replaced.
func (r *Rack) join(ctx context.Context, c *adminapi.Client, h host) error {
	if h.role == roleHead {
		if err := os.RemoveAll(r.stateDir(h)); err != nil {
			return fmt.Errorf("cannot clear a half-made head: %w", err)
		}
	}
	made, err := c.CreateToken(ctx, adminapi.TokenRequest{Role: string(h.role), Approve: h.role == roleNode})
	if err != nil {
		return err
	}
	token := filepath.Join(r.hostDir(h), "token") // not on the command line, where others see it
	if err := atomicfile.Write(token, []byte(made.Text), 0o600); err != nil {
		return fmt.Errorf("cannot write the token: %w", err)
	}
	defer os.Remove(token)
	if err := r.run(ctx, h, r.rec.Binary, string(h.daemon()), "join", "--token", "@"+token, "--config", r.config(h), at(r.heads()[0], dockerPort)); err != nil {
		return err
	}
	if h.role == roleHead {
		return nil
	}
	if err := c.ChangeNode(ctx, h.name, model.NodeChange{Overcommit: &nodeOvercommit}); err != nil {
		return fmt.Errorf("cannot set what may be promised of it: %w", err)
	}
	return nil
}

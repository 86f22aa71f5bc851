package headnode

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// upkeepInterval is how often a head looks after its certificate and its keys
// of the ring.
const upkeepInterval = 2 * time.Second

// upkeep renews this head's certificate, which it can sign by itself, and takes
// over the ring's keys as the heads have agreed on them, until ctx ends.
func (h *head) upkeep(ctx context.Context) {
	tick := time.NewTicker(upkeepInterval)
	defer tick.Stop()
	for {
		if err := h.renew(time.Now()); err != nil {
			h.log.Error("cannot renew this head's certificate", slog.Any("err", err))
		}
		if err := h.takeKeys(); err != nil {
			h.log.Error("cannot take over the ring's keys", slog.Any("err", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (h *head) renew(now time.Time) error {
	identity := h.home.identity
	if now.Before(identity.RenewAt()) {
		return nil
	}
	request, err := identity.Request()
	if err != nil {
		return err
	}
	cert, err := h.home.ca.Sign(request, pki.RoleHead, identity.ID(), h.cfg.Advertise, now)
	if err != nil {
		return err
	}
	if err := identity.Renew(filepath.Join(h.cfg.StateDir, dirIdentity), cert); err != nil {
		return err
	}
	h.log.Info("this head has a new certificate", slog.Time("until", identity.Expires()))
	return nil
}

// takeKeys keeps the ring's keys first: a head that restarts must know those
// that it was heard to have.
func (h *head) takeKeys() error {
	agreed := h.store.View().Keyring()
	if agreed.Version == 0 || slices.EqualFunc(agreed.Keys, h.ring.Keys(), bytes.Equal) {
		return nil
	}
	if err := saveGossipKeys(h.cfg.StateDir, agreed.Keys); err != nil {
		return err
	}
	return h.ring.SetKeys(agreed.Keys)
}

// rotationPause is between two steps of a rotation: every head that runs has
// taken the keys over by then. There is nobody to ask: one that is cut off
// takes them over when it is back.
const rotationPause = 3 * upkeepInterval

// rotateKeys gives the ring another key: all machines learn it, then use it,
// then forget the others. Machines that are away learn it when the leader next
// attends to them. A rotation that was interrupted leaves a ring that works,
// and the next one completes it.
func (h *head) rotateKeys(ctx context.Context) (adminapi.Rotation, error) {
	now := h.store.View().Keyring()
	if now.Version == 0 {
		now.Keys = h.ring.Keys()
	}
	fresh := make([]byte, gossipKeySize)
	rand.Read(fresh) // never fails (crypto/rand)
	old := now.Keys[:min(len(now.Keys), 2)]
	var told adminapi.Rotation
	for step, keys := range [][][]byte{append(slices.Clone(old), fresh), append([][]byte{fresh}, old...), {fresh}} {
		next := model.Keyring{Version: now.Version + step, Keys: keys}
		if _, err := h.circle.Heads.Propose(ctx, command.SetKeyring{Version: next.Version, Keys: keys}); err != nil {
			return told, fmt.Errorf("cannot change the ring's keys: %w", err)
		}
		next.Version++
		told = h.tellKeys(ctx, next)
		select {
		case <-time.After(rotationPause):
		case <-ctx.Done():
			return told, ctx.Err()
		}
	}
	return told, nil
}

// tellKeys tells all nodes that can be reached, at once.
func (h *head) tellKeys(ctx context.Context, k model.Keyring) (told adminapi.Rotation) {
	ctx, cancel := context.WithTimeout(ctx, rotationPause)
	defer cancel()
	type answer struct {
		name string
		err  error
	}
	answers := make(chan answer)
	asked := 0
	for _, n := range h.store.View().Nodes() {
		if !n.Approved {
			continue
		}
		asked++
		go func() {
			_, err := h.nodes.Agent(n.ID).Attend(ctx, wire.Attention{Keyring: &k})
			answers <- answer{n.Name, err}
		}()
	}
	for range asked {
		if a := <-answers; a.err != nil {
			told.Away = append(told.Away, a.name)
		} else {
			told.Nodes++
		}
	}
	slices.Sort(told.Away)
	return told
}

package headnode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const (
	// registerTimeout bounds one attempt to be registered: a head that is new
	// has to catch up meanwhile.
	registerTimeout = 30 * time.Second
	registerRetry   = 500 * time.Millisecond
)

var _ peers.Members = (*head)(nil)

// Register implements peers.Members.
func (h *head) Register(ctx context.Context, other model.Head, forward bool) error {
	if !forward {
		return h.register(ctx, other)
	}
	return h.heads.AtLeader(ctx, registerTimeout,
		func(ctx context.Context) error { return h.register(ctx, other) },
		func(ctx context.Context, leader string) error { return h.peers.Register(ctx, leader, other) })
}

// register lets a head take part and corrects what the others know of it. This
// head must lead.
func (h *head) register(ctx context.Context, other model.Head) error {
	if !h.leading.Load() {
		return errNotLeading
	}
	if err := h.store.Join(ctx, other.ID, other.RaftAddress); err != nil {
		return quorum.Again(err)
	}
	known, ok := h.store.View().Head(other.ID)
	other.Joined = known.Joined
	if !ok {
		other.Joined = time.Now().UTC()
	}
	if reflect.DeepEqual(known, other) {
		return nil
	}
	_, err := h.store.Propose(ctx, command.PutHead{Head: other})
	return quorum.Again(err)
}

// Unregister implements peers.Members.
func (h *head) Unregister(ctx context.Context, id string) error {
	return quorum.Again(h.store.RemoveHead(ctx, id))
}

// removeHead takes a head out for good, whichever head leads.
func (h *head) removeHead(ctx context.Context, id string) error {
	return h.heads.AtLeader(ctx, registerTimeout,
		func(ctx context.Context) error { return h.Unregister(ctx, id) },
		func(ctx context.Context, leader string) error { return h.peers.Unregister(ctx, leader, id) })
}

// self is what the others are to know of this head.
func (h *head) self() model.Head {
	return model.Head{
		ID: h.home.record.HeadID, Name: h.cfg.Name, Version: h.cfg.Version, DockerHost: h.dockerHost(), Advertise: h.cfg.Advertise,
		RaftAddress: advertised(h.cfg.Advertise[0], h.cfg.RaftListen), PeerAddress: advertised(h.cfg.Advertise[0], h.cfg.PeerListen),
	}
}

// announce tells the others of this head, each time that it starts: a head that
// has joined comes to take part by it, and one that has moved is found again.
// It returns an error only if this head is not one any more.
func (h *head) announce(ctx context.Context) error {
	retry := time.NewTicker(registerRetry)
	defer retry.Stop()
	for {
		err := h.announceOnce(ctx)
		switch {
		case err == nil:
			h.log.Info("the heads know this head")
			return nil
		case model.IsKind(err, model.KindForbidden):
			return fmt.Errorf("this head takes no part any more: %w", err)
		case ctx.Err() == nil:
			h.log.Info("the heads do not know this head yet", slog.Any("err", err))
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *head) announceOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	if leader, _ := h.store.Leader(); leader != "" {
		return h.Register(ctx, h.self(), true)
	}
	// Nobody tells this head who leads: it is new, or alone, or was removed.
	var errs []error
	for _, address := range h.knownPeers() {
		err := h.peers.RegisterAt(ctx, address, h.self())
		if err == nil || model.IsKind(err, model.KindForbidden) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, errors.New("no head leads at the moment"))...)
}

// knownPeers are the addresses at which other heads may answer.
func (h *head) knownPeers() []string {
	known := slices.Clone(h.home.record.Peers)
	for _, other := range h.store.View().Heads() {
		known = append(known, other.PeerAddress)
	}
	slices.Sort(known)
	own := h.self().PeerAddress
	return slices.DeleteFunc(slices.Compact(known), func(a string) bool { return a == own })
}

package containers

import (
	"context"
	"log/slog"
	"time"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// undoTime bounds the undoing of a create that failed, which goes on when its
// caller has gone.
const undoTime = 30 * time.Second

// Create implements dockerapi.Containers: admission, one entry that reserves,
// one call to the node. A request whose Operation has made a container already
// gets that one.
func (s *Service) Create(ctx context.Context, a model.Account, r model.CreateContainer) (model.Container, []string, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return model.Container{}, nil, err
	}
	defer leave()
	if r.Operation == "" {
		r.Operation = model.NewID()
	} else if c, ok := s.store.View().ContainerByOperation(a.ID, r.Operation); ok {
		c, err := s.created(ctx, c.ID)
		return c, nil, err
	}
	if err := s.ensureNetwork(ctx, s.store.View(), a, r.Spec.Network); err != nil {
		return model.Container{}, nil, err
	}
	p, err := admit(s.store.View(), a, r)
	if err != nil {
		return model.Container{}, nil, err
	}
	reserved, own, err := s.reserve(ctx, p)
	if err != nil {
		return model.Container{}, nil, err
	}
	if !own {
		c, err := s.created(ctx, reserved.ID)
		return c, nil, err
	}
	defer s.working.Remove(reserved.ID)
	if err := s.createOnNode(ctx, p, reserved); err != nil {
		s.undo(ctx, reserved, err)
		return model.Container{}, nil, err
	}
	c, err := s.created(ctx, reserved.ID)
	return c, p.warnings, err
}

// createOnNode has the node make the reserved container, and the image's bytes
// first where it lacks them.
func (s *Service) createOnNode(ctx context.Context, p plan, c model.Container) error {
	if err := failpoint.Hit("head.create.reserved"); err != nil {
		return err
	}
	if err := s.images.Ensure(ctx, p.account.ID, p.image, c.NodeID); err != nil {
		return err
	}
	c, volumes, err := s.mounted(ctx, c)
	if err != nil {
		return err
	}
	r := wire.CreateRequest{
		Container: c, Networks: networksOf(s.store.View(), &c), Volumes: volumes,
		Account: wire.AccountRef{ID: p.account.ID, Login: p.account.Login, Policy: p.account.Policy},
	}
	ack, err := s.agents.Agent(c.NodeID).Create(ctx, r)
	if err != nil {
		return err
	}
	if err := failpoint.Hit("head.create.made"); err != nil {
		return err
	}
	return s.see(ctx, c.NodeID, ack)
}

// created returns the container once its node has it, also if another request
// is making it, or the error that it is not to be.
func (s *Service) created(ctx context.Context, id string) (model.Container, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, journalDelay, errNotSeen)
	defer cancel()
	var c model.Container
	err := s.store.Wait(ctx, func(v *state.View) (bool, error) {
		var there bool
		if c, there = v.Container(id); !there {
			return false, model.Errorf(model.KindUnavailable, "the container could not be created; try again")
		}
		return c.Phase != model.PhaseReserved, nil
	})
	if err != nil && context.Cause(ctx) == errNotSeen {
		return c, errNotSeen
	}
	return c, err
}

// undo takes a failed create back, on the node and then in the state. If the
// node cannot be asked, the reservation stays until reconciliation can ask it:
// the container may exist.
func (s *Service) undo(ctx context.Context, c model.Container, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	log := s.log.With(slog.String("container", c.ID), slog.String("node", c.NodeID), slog.String("op", c.Operation))
	log.Warn("cannot create container", slog.Any("err", cause))
	if err := Discard(ctx, s.store, s.agents.Agent(c.NodeID), c.ID, model.UserText(cause)); err != nil {
		log.Error("cannot undo creation; it is undone when the node is back", slog.Any("err", err))
	}
}

// Proposer is the part of Store that Discard needs.
type Proposer interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
}

// Discard removes a container whose creation did not complete: from the node,
// which may or may not have it, then its reservation. If it was created after
// all, its removal comes by the node's journal.
func Discard(ctx context.Context, store Proposer, agent wire.Agent, id, reason string) error {
	if _, err := agent.Remove(ctx, id, wire.RemoveRequest{Force: true}); err != nil {
		return err
	}
	_, err := store.Propose(ctx, command.ReleaseContainer{ID: id, Reason: reason})
	if model.IsKind(err, model.KindConflict) {
		return nil
	}
	return err
}

package containers

import (
	"context"
	"log/slog"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Update implements dockerapi.Control: what the new limits need is reserved in
// one entry before the node hears of them, and the node's journal says when
// they hold. If the head dies in between, reconciliation gives back what was
// reserved.
func (s *Service) Update(ctx context.Context, a model.Account, ref string, change func(*model.Limits) error, restart *model.RestartPolicy) ([]string, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return nil, err
	}
	if err := mayUpdate(c, restart); err != nil {
		return nil, err
	}
	if change == nil {
		return nil, s.updateNode(ctx, c, model.ContainerUpdate{Restart: restart})
	}
	if !s.agents.Connected(c.NodeID) {
		return nil, model.Errorf(model.KindUnavailable, "the container's node cannot be reached; try again when it is back")
	}
	op := model.NewID()
	limits, err := s.reserveUpdate(ctx, a, c.ID, op, change)
	if err != nil {
		return nil, err
	}
	err = failpoint.Hit("head.update.reserved")
	if err == nil {
		err = s.updateNode(ctx, c, model.ContainerUpdate{Limits: &limits, Restart: restart, Operation: op})
	}
	s.endUpdate(ctx, c, op, err)
	return nil, err
}

// mayUpdate refuses what can never be right of this container.
func mayUpdate(c model.Container, restart *model.RestartPolicy) error {
	switch {
	case c.Transfer != nil, c.Move != nil && c.Move.Fetched:
		return errMoves(&c)
	case c.State.Status == model.StatusDead, c.Phase == model.PhaseRemoving:
		return model.Errorf(model.KindConflict, "Cannot update container %s: Container is marked for removal and cannot be \"update\".", c.ID)
	case restart != nil && c.Spec.AutoRemove && restart.Name != "" && restart.Name != "no":
		return model.Errorf(model.KindInvalid, "Restart policy cannot be updated because AutoRemove is enabled for the container")
	}
	return nil
}

// updateNode returns when what the node has changed shows here.
func (s *Service) updateNode(ctx context.Context, c model.Container, u model.ContainerUpdate) error {
	ack, err := s.agents.Agent(c.NodeID).Update(ctx, c.ID, u)
	if err != nil {
		return err
	}
	return s.see(ctx, c.NodeID, ack)
}

// reserveUpdate works out new limits and reserves them. Updates of a container
// come one after the other; each begins from what the one before has left.
func (s *Service) reserveUpdate(ctx context.Context, a model.Account, id, op string, change func(*model.Limits) error) (model.Limits, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, journalDelay, errUpdating)
	defer cancel()
	for {
		c, err := s.settled(ctx, a, id)
		if err != nil {
			return model.Limits{}, err
		}
		limits, pkg, err := newLimits(s.store.View(), a, c, change)
		if err != nil {
			return limits, err
		}
		s.working.Add(op)
		_, err = s.store.Propose(ctx, command.ReserveUpdate{
			ID: id, Operation: op, Package: pkg.Name, Before: c.Spec.Limits, Needs: limits.Needs(c.Reserved), Time: time.Now().UTC(),
		})
		if err == nil {
			return limits, nil
		}
		s.working.Remove(op)
		if !model.IsKind(err, model.KindConflict) {
			return limits, err
		}
	}
}

var errUpdating = model.Errorf(model.KindConflict, "another update of this container is under way; try again in a moment")

// settled returns a container as it is while no update of it is under way.
func (s *Service) settled(ctx context.Context, a model.Account, id string) (model.Container, error) {
	var c model.Container
	err := s.store.Wait(ctx, func(v *state.View) (bool, error) {
		var err error
		if c, err = find(v, a.ID, id); err == nil && c.Transfer != nil {
			err = errMoves(&c)
		}
		return err == nil && c.Update == nil, err
	})
	if err != nil && context.Cause(ctx) == errUpdating {
		return c, errUpdating
	}
	return c, err
}

// endUpdate gives back what was reserved for an update that the node has
// refused. If nobody knows what the node did, reconciliation finds out.
func (s *Service) endUpdate(ctx context.Context, c model.Container, op string, cause error) {
	defer s.working.Remove(op)
	if cause != nil && !refused(cause) {
		s.log.Warn("cannot tell whether a container was updated", slog.String("container", c.ID), slog.String("node", c.NodeID),
			slog.String("op", op), slog.Any("err", cause))
		return
	}
	if now, ok := s.store.View().Container(c.ID); !ok || now.Update == nil || now.Update.Operation != op {
		return // its journal entry has ended it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if _, err := s.store.Propose(ctx, command.ReleaseUpdate{ID: c.ID, Operation: op}); err != nil {
		s.log.Warn("cannot give back what an update reserved yet", slog.String("container", c.ID), slog.String("op", op), slog.Any("err", err))
	}
}

// refused reports whether an error is a node's answer that it changed nothing.
func refused(err error) bool {
	switch model.KindOf(err) {
	case model.KindInvalid, model.KindNotFound, model.KindConflict, model.KindForbidden, model.KindExhausted,
		model.KindNotImplemented, model.KindNotModified, model.KindTooLarge:
		return true
	}
	return false
}

// newLimits are those of c after change, with what its package adds, and the
// package: its own, or the smallest that holds them.
func newLimits(v *state.View, a model.Account, c model.Container, change func(*model.Limits) error) (model.Limits, model.Package, error) {
	trusted := a.Policy == model.PolicyTrusted
	limits := c.Spec.Limits
	if err := change(&limits); err != nil {
		return limits, model.Package{}, err
	}
	if err := policy.Refuse(policy.CheckLimits(a, &limits)); err != nil {
		return limits, model.Package{}, err
	}
	if err := checkMemory(&limits); err != nil {
		return limits, model.Package{}, err
	}
	pkg, ok := v.Package(c.Package)
	if before := c.Spec.Limits; ok && !trusted && limits.Memory < before.Memory && limits.MemorySwap == before.MemorySwap {
		limits.MemorySwap = min(limits.MemorySwap, limits.Memory+pkg.Swap) // less memory makes no more swap
	}
	if !ok || exceeds(&pkg, limits, trusted) != nil {
		var err error
		if pkg, err = smallestFor(offeredTo(v.Packages(), a.ID), pkg.Family, limits, trusted); err != nil {
			return limits, pkg, err
		}
	}
	unbounded := trusted && limits.Pids <= 0
	applyPackage(&limits, pkg, trusted)
	if unbounded {
		limits.Pids = 0 // its package is for a creation that says nothing
	}
	limits.Disk = c.Spec.Limits.Disk // a root keeps its size
	if c.Spec.Limits.CPU() > 0 {     // one that has no limit may stay without
		return limits, pkg, state.CheckProcessors(&a, limits.CPU())
	}
	return limits, pkg, nil
}

// checkMemory refuses limits that contradict each other, in Docker's words.
func checkMemory(l *model.Limits) error {
	switch {
	case l.MemorySwap > 0 && l.Memory > l.MemorySwap:
		return model.Errorf(model.KindInvalid, "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
	case l.Memory > 0 && l.MemoryReservation > l.Memory:
		return model.Errorf(model.KindInvalid, "Minimum memory limit can not be less than memory reservation limit, see usage")
	case l.MemorySwap != 0 && l.Memory == 0:
		return model.Errorf(model.KindInvalid, "You should always set the Memory limit when using Memoryswap limit, see usage")
	}
	return nil
}

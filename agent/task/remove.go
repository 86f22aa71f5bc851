package task

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Remove removes the container and all that it holds. One that runs, or waits
// for its restart, is refused with KindConflict unless r.Force. A container
// that is gone has been removed.
func (t *Task) Remove(ctx context.Context, r wire.RemoveRequest) (wire.Ack, error) {
	ack, err := t.call(ctx, func(reply answer) { t.askRemove(r, reply) })
	if model.IsKind(err, model.KindNotFound) {
		return t.node.Records.Place(), nil
	}
	return ack, err
}

func (t *Task) askRemove(r wire.RemoveRequest, reply answer) {
	busy := t.status.Phase == state.PhaseRunning || t.status.Phase == state.PhaseWaiting
	if r.Generation != nil && *r.Generation != t.request.Container.Generation {
		reply(t.node.Records.Place(), nil) // it is not the copy that is meant
		return
	}
	switch {
	case t.absent() && t.status.Phase != state.PhaseArriving:
		reply(wire.Ack{}, NotFound(t.id))
	case t.paused() && !r.Force:
		reply(wire.Ack{}, model.Errorf(model.KindConflict,
			"cannot remove container %q: container is paused and must be unpaused first", "/"+t.request.Container.Name))
	case busy && !r.Force:
		reply(wire.Ack{}, model.Errorf(model.KindConflict,
			"cannot remove container %q: container is %s: stop the container before removing or force remove",
			"/"+t.request.Container.Name, t.status.State.Status))
	case t.status.Phase == state.PhaseRunning:
		if _, err := t.signal(syscall.SIGKILL, intent{ends: true, removes: true, thaws: true}); err != nil {
			reply(wire.Ack{}, err)
			return
		}
		t.awaitEnd(&ending{killed: true, deadline: time.Now().Add(killPatience), then: []answer{func(_ wire.Ack, err error) {
			if err != nil {
				reply(wire.Ack{}, err)
				return
			}
			t.askRemove(r, reply) // it is gone, unless something of it cannot be removed
		}}})
	default:
		reply(t.remove())
	}
}

// remove removes a container that does not run. What fails is tried again
// until it is done, also by the next process.
func (t *Task) remove() (wire.Ack, error) {
	if t.removed {
		return t.node.Records.Place(), nil
	}
	t.timer.Stop()
	next := t.status
	next.Arriving = next.Arriving || next.Phase == state.PhaseArriving
	next.Phase, next.State.Status = state.PhaseRemoving, model.StatusRemoving
	if t.status.Phase == state.PhaseRemoving {
		t.become(next)
	} else if _, recorded, _ := t.recordWhile(state.Change{}, next, t.releaseLeftovers); recorded != nil {
		return wire.Ack{}, recorded
	}
	err := failpoint.Hit("agent/remove-recorded")
	if err == nil {
		err = t.removeParts()
	}
	if err == nil {
		err = failpoint.Hit("agent/remove-parts")
	}
	if err != nil {
		t.timer.Reset(retryPause)
		return wire.Ack{}, model.WrapError(model.KindInternal, err, "cannot remove all of container %s yet; its node keeps trying", t.id)
	}
	gone := t.status
	gone.Phase = "" // from now on no list has it
	change := state.Change{Forget: true}
	if !next.Arriving { // else it never was this node's
		change.Entries = []model.JournalEntry{t.entry(model.ActionDestroy, nil)}
	}
	ack, err := t.commit(change, gone)
	if err != nil {
		t.timer.Reset(retryPause)
		return wire.Ack{}, err
	}
	t.removed = true
	return ack, nil
}

// removeParts removes everything of the container but its record. All of it
// is tried, so that one thing that cannot be removed holds back no other.
func (t *Task) removeParts() error {
	err := errors.Join(t.releaseLeftovers(), t.evictRoot())
	t.node.Shipper.Forget(t.id)
	ctx, cancel := t.step()
	defer cancel()
	if t.status.Arriving { // so that the runtime knows what to forget: its log
		err = errors.Join(err, t.node.Runtime.Register(ctx, t.id, t.spec()))
	}
	return errors.Join(err,
		t.node.Volumes.Conceal(t.id),
		t.node.Images.RemoveRoot(ctx, t.id),
		t.node.Runtime.Unregister(ctx, t.id),
		removeEtc(t.node.Dir, t.id))
}

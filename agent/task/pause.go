package task

import (
	"context"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Pause freezes the container's processes; KindConflict if it does not run or
// is paused.
func (t *Task) Pause(ctx context.Context) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.pause(false)) })
}

// PauseFor is Pause for the time of some work of this agent, after which the
// caller calls Unpause. If the agent ends before, the next one does it.
func (t *Task) PauseFor(ctx context.Context) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.pause(true)) })
}

// Unpause lets the processes go on; KindConflict if they are not paused.
func (t *Task) Unpause(ctx context.Context) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) {
		switch {
		case t.absent():
			reply(wire.Ack{}, NotFound(t.id))
		case !t.paused():
			reply(t.node.Records.Place(), model.Errorf(model.KindConflict, "Container %s is not paused", t.id))
		default:
			reply(t.unpause())
		}
	})
}

func (t *Task) paused() bool { return t.status.State.Status == model.StatusPaused }

// mayPause says why the container cannot be paused.
func (t *Task) mayPause() error {
	switch {
	case t.absent():
		return NotFound(t.id)
	case t.status.Phase == state.PhaseWaiting:
		return model.Errorf(model.KindConflict, "Container %s is restarting, wait until the container is running", t.id)
	case t.status.Phase != state.PhaseRunning:
		return model.Errorf(model.KindConflict, "container %s is not running", t.id)
	case t.paused():
		return model.Errorf(model.KindConflict, "Container %s is already paused", t.id)
	}
	return nil
}

// pause freezes the processes. They are thawed again if that, or writing it
// down, fails; if the agent ends in between; and, when it is for some work
// only, if the agent ends before the work.
func (t *Task) pause(forWork bool) (wire.Ack, error) {
	if err := t.mayPause(); err != nil {
		return t.node.Records.Place(), err
	}
	next := t.status
	next.Freezing = true
	if _, err := t.record(next); err != nil {
		return wire.Ack{}, err
	}
	var undo revert.Stack
	defer undo.Revert()
	undo.Add(t.thaw)
	if err := t.between("agent/pause-recorded", t.node.Runtime.Pause, "agent/pause-frozen"); err != nil {
		return wire.Ack{}, t.refusal("pause", err)
	}
	next.State.Status, next.Freezing = model.StatusPaused, forWork
	ack, err := t.record(next, t.entry("pause", &next.State))
	if err != nil {
		return ack, err
	}
	undo.Success()
	t.watchHealth()
	return ack, nil
}

// unpause thaws the processes of a paused container.
func (t *Task) unpause() (wire.Ack, error) {
	next := t.status
	next.Freezing = true
	if _, err := t.record(next); err != nil {
		return wire.Ack{}, err
	}
	if err := t.between("agent/unpause-recorded", t.node.Runtime.Unpause, "agent/unpause-thawed"); err != nil {
		return wire.Ack{}, t.refusal("unpause", err)
	}
	return t.thawed()
}

// thawed records that the processes run. They do so also if that fails; it is
// then written down with the next change.
func (t *Task) thawed() (wire.Ack, error) {
	next := t.status
	wasPaused := t.paused()
	next.State.Status, next.Freezing = model.StatusRunning, false
	change := state.Change{Status: &next}
	if wasPaused {
		change.Entries = []model.JournalEntry{t.entry("unpause", &next.State)}
	}
	ack, err := t.commit(change, next)
	t.become(next)
	t.watchHealth()
	return ack, err
}

// thaw ends a freezing that came to nothing, or that the last process did not
// end. What fails is tried again.
func (t *Task) thaw() {
	ctx, cancel := t.step()
	defer cancel()
	err := t.node.Runtime.Unpause(ctx, t.id)
	if err == nil || model.IsKind(err, model.KindConflict) { // it is not frozen, or has ended
		_, err = t.thawed()
	}
	if t.unthawed = err != nil; t.unthawed {
		t.log.Error("cannot let a container go on; trying again", "op", "unpause", "err", err)
		t.timer.Reset(retryPause)
	}
}

// between takes one step of the runtime between two failpoints.
func (t *Task) between(before string, step func(context.Context, string) error, after string) error {
	ctx, cancel := t.step()
	defer cancel()
	if err := failpoint.Hit(before); err != nil {
		return err
	}
	if err := step(ctx, t.id); err != nil {
		return err
	}
	return failpoint.Hit(after)
}

// refusal gives an error of a step of the runtime the form that a user reads.
func (t *Task) refusal(verb string, err error) error {
	if model.IsKind(err, model.KindConflict) {
		return err // in Docker's words
	}
	return model.WrapError(model.KindOf(err), err, "Cannot %s container %s: %s", verb, t.id, model.UserText(err))
}

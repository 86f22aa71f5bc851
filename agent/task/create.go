package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Create makes the container. If it exists it answers with the newest place.
// An error that IsOver means that the container was just removed, or that an
// earlier creation failed: a new task can make it.
func (t *Task) Create(ctx context.Context, r wire.CreateRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.create(r)) })
}

func (t *Task) create(r wire.CreateRequest) (wire.Ack, error) {
	if t.status.Phase != "" {
		return t.node.Records.Place(), t.checkGeneration(r.Container.Generation)
	}
	t.request = &r
	ack, err := t.tryCreate()
	if err != nil {
		t.removed = true // nothing is left; a later attempt gets a new task
	}
	return ack, err
}

// checkGeneration refuses to take the container that is here for one of another
// generation: it was elsewhere in between, or will be.
func (t *Task) checkGeneration(wanted int) error {
	here := t.request.Container.Generation
	switch {
	case wanted < here:
		return model.Errorf(model.KindConflict, "container %s has moved since", t.id)
	case wanted > here:
		return model.Errorf(model.KindConflict, "an earlier copy of container %s is here still; it has to be removed first", t.id)
	}
	return nil
}

func (t *Task) tryCreate() (wire.Ack, error) {
	next := state.Status{
		Phase: state.PhaseCreating,
		State: model.ContainerState{Status: model.StatusCreated},
	}
	var undo revert.Stack
	defer undo.Revert()
	undo.Add(t.forgetCreated)
	_, recorded, made := t.recordWhile(state.Change{Request: t.request}, next, t.makeRoot)
	if err := errors.Join(recorded, made); err != nil {
		return wire.Ack{}, err
	}
	if err := t.makeVolumes(); err != nil {
		return wire.Ack{}, err
	}
	if err := t.register(); err != nil {
		return wire.Ack{}, err
	}
	next.Phase = state.PhaseIdle
	ack, err := t.record(next, t.entry(model.ActionCreate, &next.State))
	if err != nil {
		return wire.Ack{}, err
	}
	undo.Success()
	return ack, nil
}

// makeRoot makes the container's root. One that no record knows is found again
// by its name, so it need not wait for the record.
func (t *Task) makeRoot() error {
	ctx, cancel := t.step()
	defer cancel()
	spec := t.spec()
	if err := t.node.Images.PrepareRoot(ctx, t.id, spec.ImageID, spec.Limits.Disk); err != nil {
		return fmt.Errorf("cannot make the root of container %s: %w", t.id, err)
	}
	return failpoint.Hit("agent/create-root")
}

// register makes the container known to the runtime, once it is recorded.
func (t *Task) register() error {
	ctx, cancel := t.step()
	defer cancel()
	if err := failpoint.Hit("agent/create-recorded"); err != nil {
		return err
	}
	if err := t.node.Runtime.Register(ctx, t.id, t.spec()); err != nil {
		return fmt.Errorf("cannot register container %s: %w", t.id, err)
	}
	return failpoint.Hit("agent/create-registered")
}

// forgetCreated undoes a creation that nobody was told of. What cannot be
// undone now is undone when the agent starts again: the record stays for that.
func (t *Task) forgetCreated() {
	if err := t.removeParts(); err != nil {
		t.log.Error("cannot undo the creation of a container", "op", "create", "err", err)
		return
	}
	if _, err := t.commit(state.Change{Forget: true}, state.Status{}); err != nil {
		t.log.Error("cannot undo the creation of a container", "op", "create", "err", err)
	}
}

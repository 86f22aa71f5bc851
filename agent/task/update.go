package task

import (
	"context"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Update changes limits, of running processes too; the restart policy, which
// counts from the next end on; and links, for the next start. All of it is
// changed or nothing.
func (t *Task) Update(ctx context.Context, r model.ContainerUpdate) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.update(r)) })
}

func (t *Task) mayUpdate(r model.ContainerUpdate) error {
	switch {
	case t.absent():
		return NotFound(t.id)
	case t.status.Phase == state.PhaseRemoving:
		return model.Errorf(model.KindConflict, "Cannot update container %s: container is marked for removal and cannot be \"update\"", t.id)
	case r.Limits != nil && r.Limits.Disk != t.spec().Limits.Disk:
		return model.Errorf(model.KindInvalid, "cannot update container %s: the size of its root is decided when it is created", t.id)
	case r.Restart != nil && t.spec().AutoRemove && r.Restart.Name != "" && r.Restart.Name != "no":
		return model.Errorf(model.KindConflict, "Cannot update container %s: Restart policy cannot be updated because AutoRemove is enabled for the container", t.id)
	}
	return nil
}

func (t *Task) update(r model.ContainerUpdate) (wire.Ack, error) {
	if err := t.mayUpdate(r); err != nil {
		return t.node.Records.Place(), err
	}
	updated := *t.request
	if r.Limits != nil {
		updated.Container.Spec.Limits = *r.Limits
	}
	if r.Restart != nil {
		updated.Container.Spec.Restart = *r.Restart
	}
	if r.Links != nil {
		updated.Container.Spec.Links = *r.Links
	}
	var undo revert.Stack
	defer undo.Revert()
	if r.Limits != nil && t.status.Phase == state.PhaseRunning {
		if err := t.relimit(r.Limits, &undo); err != nil {
			return wire.Ack{}, err
		}
	}
	next := t.status
	next.Relimiting = false
	change := state.Change{Request: &updated, Status: &next}
	if r.Limits != nil || r.Restart != nil {
		entry := t.entry("update", nil)
		entry.Update = &r
		change.Entries = []model.JournalEntry{entry}
	}
	before := t.request
	t.request = &updated
	ack, err := t.commit(change, next)
	if err != nil {
		t.request = before
		return ack, err
	}
	undo.Success()
	return ack, nil
}

// relimit gives the running processes new limits. The old ones come back with
// undo, or when an agent starts that finds this not finished.
func (t *Task) relimit(limits *model.Limits, undo *revert.Stack) error {
	next := t.status
	next.Relimiting = true
	if _, err := t.record(next); err != nil {
		return err
	}
	undo.Add(t.restoreLimits)
	return t.between("agent/update-recorded", func(ctx context.Context, id string) error {
		return t.node.Runtime.Update(ctx, id, limits) // its errors are in Docker's words
	}, "agent/update-applied")
}

// restoreLimits sets the limits that the request says. A container that has
// ended needs none: it gets them at its next start.
func (t *Task) restoreLimits() {
	ctx, cancel := t.step()
	defer cancel()
	if err := t.node.Runtime.Update(ctx, t.id, &t.spec().Limits); err != nil && !model.IsKind(err, model.KindConflict) {
		t.log.Error("cannot restore the limits of a container; they are set at its next start", "op", "update", "err", err)
	}
	next := t.status
	next.Relimiting = false
	if _, err := t.record(next); err != nil {
		t.log.Error("cannot record that the limits of a container were restored", "op", "update", "err", err)
	}
}

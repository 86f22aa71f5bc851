package task

import (
	"context"
	"errors"
	"fmt"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// absent reports whether there is no container, or none that is this node's.
func (t *Task) absent() bool {
	switch t.status.Phase {
	case "", state.PhaseCreating, state.PhaseArriving:
		return true
	}
	return false
}

func errDeparting(name string) error {
	return model.Errorf(model.KindConflict, "container %s is being moved to another node; try again when it is there", name)
}

// Offer lets a node read the container's files, also after a restart of the
// agent, until Stay.
func (t *Task) Offer(ctx context.Context, nodeID string) error {
	_, err := t.call(ctx, func(reply answer) {
		if t.absent() {
			reply(wire.Ack{}, NotFound(t.id))
			return
		}
		if t.status.OfferedTo == nodeID {
			reply(wire.Ack{}, nil)
			return
		}
		next := t.status
		next.OfferedTo = nodeID
		reply(t.record(next))
	})
	return err
}

// Depart stops the container, if it runs, for good: until Stay nothing starts
// it.
func (t *Task) Depart(ctx context.Context, r wire.StopRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { t.depart(r, reply) })
}

func (t *Task) depart(r wire.StopRequest, reply answer) {
	switch {
	case t.absent():
		reply(wire.Ack{}, NotFound(t.id))
		return
	case t.status.Phase == state.PhaseRemoving || t.status.Removing:
		reply(wire.Ack{}, model.Errorf(model.KindConflict, "container %s is marked for removal", t.id))
		return
	case t.paused():
		reply(wire.Ack{}, model.Errorf(model.KindConflict, "container %s is paused; unpause it first", t.id))
		return
	}
	if !t.status.Departing {
		next := t.status
		next.Departing, next.Restarting = true, false
		if _, err := t.record(next); err != nil {
			reply(wire.Ack{}, err)
			return
		}
	}
	if err := failpoint.Hit("agent/depart-recorded"); err != nil {
		reply(wire.Ack{}, err)
		return
	}
	switch t.status.Phase {
	case state.PhaseWaiting:
		reply(t.giveUpRestart("stop"))
	case state.PhaseRunning:
		t.end(r, &ending{stop: true, then: []answer{func(ack wire.Ack, err error) {
			if err == nil {
				err = failpoint.Hit("agent/depart-stopped")
			}
			reply(ack, err)
		}}})
	default:
		reply(t.node.Records.Place(), nil)
	}
}

// Stay takes a departure back, and starts the container if start is set.
func (t *Task) Stay(ctx context.Context, start bool) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.stay(start)) })
}

func (t *Task) stay(start bool) (wire.Ack, error) {
	if t.absent() {
		return wire.Ack{}, NotFound(t.id)
	}
	if t.status.Departing || t.status.OfferedTo != "" {
		next := t.status
		next.Departing, next.OfferedTo = false, ""
		if _, err := t.record(next); err != nil {
			return wire.Ack{}, err
		}
	}
	if !start || t.status.Phase == state.PhaseRunning {
		return t.node.Records.Place(), nil
	}
	return t.start(false)
}

// Come makes what files of a container that comes from another node are put
// into. It may be repeated until the container has arrived, which is
// KindConflict as a copy of another generation is.
func (t *Task) Come(ctx context.Context, r wire.CreateRequest) error {
	_, err := t.call(ctx, func(reply answer) { reply(wire.Ack{}, t.come(r)) })
	return err
}

func (t *Task) come(r wire.CreateRequest) error {
	first := t.status.Phase == ""
	switch t.status.Phase {
	case state.PhaseArriving:
		if err := t.checkGeneration(r.Container.Generation); err != nil || t.rootMade {
			return err
		}
	case "":
		if err := t.recordArriving(r); err != nil {
			return err
		}
	default:
		return errors.Join(t.checkGeneration(r.Container.Generation),
			model.Errorf(model.KindConflict, "container %s is on the node already", t.id))
	}
	if err := t.makeRoot(); err != nil {
		if first {
			t.forgetCreated()
			t.removed = true
		}
		return err
	}
	t.rootMade = true
	return nil
}

// recordArriving has the container's root be found again whatever is killed.
func (t *Task) recordArriving(r wire.CreateRequest) error {
	t.request = &r
	next := state.Status{Phase: state.PhaseArriving, State: model.ContainerState{Status: model.StatusCreated}}
	// Without the record its root would be an orphan.
	if _, err := t.commit(state.Change{Request: t.request, Status: &next}, next); err != nil {
		t.removed = true
		return err
	}
	return failpoint.Hit("agent/come-recorded")
}

// Arrive makes what has come the container, which does not run. It may be
// repeated.
func (t *Task) Arrive(ctx context.Context, r wire.CreateRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.arrive(r)) })
}

func (t *Task) arrive(r wire.CreateRequest) (wire.Ack, error) {
	if t.status.Phase == "" || t.status.Phase == state.PhaseCreating {
		return wire.Ack{}, model.Errorf(model.KindConflict, "nothing of container %s was fetched", t.id)
	}
	if err := t.checkGeneration(r.Container.Generation); err != nil || t.status.Phase != state.PhaseArriving {
		return t.node.Records.Place(), err
	}
	ctx, cancel := t.step()
	defer cancel()
	if err := t.node.Runtime.Register(ctx, t.id, &r.Container.Spec); err != nil {
		return wire.Ack{}, fmt.Errorf("cannot register container %s: %w", t.id, err)
	}
	if err := failpoint.Hit("agent/arrive-registered"); err != nil {
		return wire.Ack{}, err
	}
	t.request = &r
	next := state.Status{Phase: state.PhaseIdle, State: r.Container.State}
	ack, err := t.commit(state.Change{Request: &r, Status: &next}, next)
	if err != nil {
		return ack, err
	}
	t.node.Changed()
	return t.node.Records.Place(), nil
}

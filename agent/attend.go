package agent

import (
	"context"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Attend implements wire.Agent.
func (a *Agent) Attend(_ context.Context, in wire.Attention) (wire.Standing, error) {
	if a.standing == nil {
		return wire.Standing{}, errLater
	}
	s, err := a.standing.Attend(in)
	if err != nil {
		return s, err
	}
	for _, c := range a.movable() {
		s.Held = append(s.Held, wire.Held{ID: c.ID, Generation: c.Generation})
	}
	return s, nil
}

// movable lists the containers whose owners asked to have them started
// elsewhere when the node is gone.
func (a *Agent) movable() []task.Snapshot {
	var all []task.Snapshot
	for _, s := range a.snapshots() {
		if s.Spec.Reschedules() && s.Phase != state.PhaseArriving { // else it is not the node's yet
			all = append(all, s)
		}
	}
	return all
}

// fencedStopTimeout is how long a container may take to end by itself when the
// node is cut off: the leader waits for longer before it starts it elsewhere.
const fencedStopTimeout = 10 // seconds

// fenced are the node's containers as the keeper of its standing sees them.
type fenced struct{ *Agent }

// Running implements standing.Containers.
func (f fenced) Running() []string {
	var ids []string
	for _, s := range f.movable() {
		switch s.Phase {
		case state.PhaseRunning, state.PhaseStarting, state.PhaseWaiting:
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Stop implements standing.Containers.
func (f fenced) Stop(ctx context.Context, id string) error {
	t := f.find(id)
	if t == nil {
		return nil
	}
	timeout := fencedStopTimeout
	if own := t.Snapshot().Spec.StopTimeout; own != nil && *own >= 0 && *own < timeout {
		timeout = *own
	}
	_, err := t.Stop(ctx, wire.StopRequest{Timeout: &timeout})
	if model.IsKind(err, model.KindNotModified) || model.IsKind(err, model.KindNotFound) {
		return nil
	}
	return err
}

// Start implements standing.Containers.
func (f fenced) Start(ctx context.Context, id string) error {
	t := f.find(id)
	if t == nil {
		return nil
	}
	_, err := t.Start(ctx)
	if model.IsKind(err, model.KindNotModified) || model.IsKind(err, model.KindNotFound) {
		return nil
	}
	return err
}

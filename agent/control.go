package agent

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// errLater is the answer of what this version cannot do.
var errLater = model.Errorf(model.KindNotImplemented, "this version of the node cannot do that")

// Pause implements wire.Agent.
func (a *Agent) Pause(ctx context.Context, id string) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Pause(ctx)
}

// Unpause implements wire.Agent.
func (a *Agent) Unpause(ctx context.Context, id string) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Unpause(ctx)
}

// whilePaused does some work while the container's processes are frozen. One
// that does not run, or is paused already, stays as it is. If the agent ends
// meanwhile the processes go on when it is back.
func (a *Agent) whilePaused(ctx context.Context, id string, work func() error) error {
	t, err := a.get(id)
	if err != nil {
		return err
	}
	_, err = t.PauseFor(ctx)
	if model.IsKind(err, model.KindConflict) {
		return work()
	}
	if err != nil {
		return err
	}
	worked := work()
	// Also for a caller that has gone away.
	if _, err := t.Unpause(context.WithoutCancel(ctx)); err != nil && !model.IsKind(err, model.KindConflict) {
		a.log.Error("cannot let a container go on", "op", "unpause", "container", id, "err", err)
	}
	return worked
}

// Update implements wire.Agent.
func (a *Agent) Update(ctx context.Context, id string, r model.ContainerUpdate) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Update(ctx, r)
}

// Stats implements wire.Agent.
func (a *Agent) Stats(ctx context.Context, id string) (model.Stats, error) {
	if _, err := a.runningSnapshot(id); err != nil {
		return model.Stats{}, err
	}
	return a.drivers.Runtime.Stats(ctx, id)
}

// Health implements wire.Agent.
func (a *Agent) Health(_ context.Context, id string) (model.Health, error) {
	t, err := a.get(id)
	if err != nil {
		return model.Health{}, err
	}
	return t.Health(), nil
}

package agent

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

var errLater = model.Errorf(model.KindNotImplemented, "this version of the node cannot do that")

// Pause implements wire.Agent.
func (a *Agent) Pause(context.Context, string) (wire.Ack, error) { return wire.Ack{}, errLater }

// Unpause implements wire.Agent.
func (a *Agent) Unpause(context.Context, string) (wire.Ack, error) { return wire.Ack{}, errLater }

// Update implements wire.Agent.
func (a *Agent) Update(context.Context, string, model.ContainerUpdate) (wire.Ack, error) {
	return wire.Ack{}, errLater
}

// Stats implements wire.Agent.
func (a *Agent) Stats(context.Context, string) (model.Stats, error) { return model.Stats{}, errLater }

// Health implements wire.Agent.
func (a *Agent) Health(context.Context, string) (model.Health, error) {
	return model.Health{}, errLater
}

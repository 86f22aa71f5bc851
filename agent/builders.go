package agent

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

var errNoBuilders = model.Errorf(model.KindNotImplemented, "this node carries no builds out: its operator has to install spearhead-buildkitd, and runc")

// Builder implements wire.Agent.
func (a *Agent) Builder(context.Context, wire.BuilderRequest) (wire.Stream, error) {
	return nil, errNoBuilders
}

// TakeBuilt implements wire.Agent.
func (a *Agent) TakeBuilt(context.Context, wire.BuiltRequest) (model.Image, error) {
	return model.Image{}, errNoBuilders
}

// EndBuilder implements wire.Agent.
func (a *Agent) EndBuilder(context.Context, wire.EndBuilderRequest) error { return errNoBuilders }

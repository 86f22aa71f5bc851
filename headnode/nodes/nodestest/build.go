package nodestest

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Builder implements wire.Agent: the node carries no builds out.
func (a *Agent) Builder(context.Context, wire.BuilderRequest) (wire.Stream, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	return nil, model.Errorf(model.KindNotImplemented, "this node carries no builds out")
}

// TakeBuilt implements wire.Agent: nothing was built.
func (a *Agent) TakeBuilt(_ context.Context, r wire.BuiltRequest) (model.Image, error) {
	if err := a.enter(); err != nil {
		return model.Image{}, err
	}
	return model.Image{}, model.Errorf(model.KindNotFound, "the builder has no image %s", r.Digest)
}

// EndBuilder implements wire.Agent: there is none.
func (a *Agent) EndBuilder(context.Context, wire.EndBuilderRequest) error { return a.enter() }

// ListBuilders implements wire.Agent: there are none.
func (a *Agent) ListBuilders(context.Context) ([]wire.BuilderInfo, error) { return nil, a.enter() }

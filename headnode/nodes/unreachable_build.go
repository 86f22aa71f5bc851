package nodes

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) Builder(context.Context, wire.BuilderRequest) (wire.Stream, error) {
	return nil, errUnreachable
}

func (unreachable) TakeBuilt(context.Context, wire.BuiltRequest) (model.Image, error) {
	return model.Image{}, errUnreachable
}

func (unreachable) EndBuilder(context.Context, wire.EndBuilderRequest) error { return errUnreachable }

func (unreachable) ListBuilders(context.Context) ([]wire.BuilderInfo, error) {
	return nil, errUnreachable
}

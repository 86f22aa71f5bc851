package agent

import (
	"context"

	"github.com/spearheadcloud/spearhead/agent/build"
	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Builders is what the agent asks of package build.
type Builders interface {
	Dial(ctx context.Context, r wire.BuilderRequest) (wire.Stream, error)
	Built(accountID, digest string) (model.Image, build.Content, error)
	End(ctx context.Context, accountID string, forget bool) error
	List() ([]wire.BuilderInfo, error)
	Close()
}

// openBuilders makes the node's builders, if it is to have some.
func (a *Agent) openBuilders(ctx context.Context, c *build.Config) error {
	if c == nil {
		return nil
	}
	config := *c
	config.Images = a
	builders, err := build.Open(ctx, config)
	if err != nil {
		return err
	}
	a.builders = builders
	return nil
}

var errNoBuilders = model.Errorf(model.KindNotImplemented, "this node carries no builds out")

// Builder implements wire.Agent.
func (a *Agent) Builder(ctx context.Context, r wire.BuilderRequest) (wire.Stream, error) {
	if a.builders == nil {
		return nil, errNoBuilders
	}
	return a.builders.Dial(ctx, r)
}

// TakeBuilt implements wire.Agent: what a builder made is copied from it as from
// another node.
func (a *Agent) TakeBuilt(ctx context.Context, r wire.BuiltRequest) (model.Image, error) {
	if a.builders == nil {
		return model.Image{}, errNoBuilders
	}
	built, content, err := a.builders.Built(r.AccountID, r.Digest)
	if err != nil {
		return model.Image{}, err
	}
	taking, err := a.arrive(ctx, "build", func(ctx context.Context, progress func(image.Progress)) (wire.PulledImage, error) {
		img, isNew, err := a.drivers.Images.Copy(ctx, image.CopyRequest{Image: built, Peers: []image.Peer{content}}, progress)
		return wire.PulledImage{Image: img, Digest: built.Digest, New: isNew}, err
	})
	if err != nil {
		return model.Image{}, err
	}
	defer taking.Close()
	for {
		m, err := taking.Next()
		switch {
		case err != nil:
			return model.Image{}, err
		case m.Error != nil:
			return model.Image{}, m.Error.Err()
		case m.Image != nil:
			return m.Image.Image, nil
		}
	}
}

// EndBuilder implements wire.Agent.
func (a *Agent) EndBuilder(ctx context.Context, r wire.EndBuilderRequest) error {
	if a.builders == nil {
		return nil
	}
	return a.builders.End(ctx, r.AccountID, r.Forget)
}

// ListBuilders implements wire.Agent.
func (a *Agent) ListBuilders(context.Context) ([]wire.BuilderInfo, error) {
	if a.builders == nil {
		return nil, nil
	}
	return a.builders.List()
}

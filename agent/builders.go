package agent

import (
	"context"
	"errors"
	"io"

	"github.com/spearheadcloud/spearhead/agent/build"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Builders is what the agent asks of package build.
type Builders interface {
	Dial(ctx context.Context, r wire.BuilderRequest) (wire.Stream, error)
	Archive(accountID, digest string, w io.Writer) error
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

// TakeBuilt implements wire.Agent: what a builder made is loaded as any archive
// of an image is.
func (a *Agent) TakeBuilt(ctx context.Context, r wire.BuiltRequest) (img model.Image, err error) {
	if a.builders == nil {
		return img, errNoBuilders
	}
	archive, to := io.Pipe()
	defer archive.Close()
	written := make(chan error, 1)
	go func() {
		err := a.builders.Archive(r.AccountID, r.Digest, to)
		to.CloseWithError(err)
		written <- err
	}()
	img, err = a.loadOne(ctx, archive)
	archive.Close()
	if failed := <-written; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return model.Image{}, failed
	}
	return img, err
}

// loadOne loads an archive of one image.
func (a *Agent) loadOne(ctx context.Context, archive io.Reader) (img model.Image, err error) {
	loading, err := a.LoadImages(ctx, wire.LoadRequest{}, archive)
	if err != nil {
		return img, err
	}
	defer loading.Close()
	for {
		m, err := loading.Next()
		switch {
		case errors.Is(err, io.EOF) && img.ID == "":
			return img, model.Errorf(model.KindInternal, "cannot load what was built: there was no image")
		case errors.Is(err, io.EOF):
			return img, nil
		case err != nil:
			return model.Image{}, err
		case m.Error != nil:
			return model.Image{}, m.Error.Err()
		case m.Image != nil:
			img = m.Image.Image
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

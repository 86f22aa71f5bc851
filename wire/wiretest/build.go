package wiretest

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// NoBuilder is an account for which no builder can be started.
const NoBuilder = "no-builder"

// Builder implements wire.Agent: what is sent comes back.
func (a *Agent) Builder(_ context.Context, r wire.BuilderRequest) (wire.Stream, error) {
	if r.Account.ID == NoBuilder {
		return nil, model.Errorf(model.KindNotImplemented, "this node carries no builds out")
	}
	out, in := io.Pipe()
	return echo{out, in}, nil
}

// TakeBuilt implements wire.Agent: ContentDigest is what was built.
func (a *Agent) TakeBuilt(_ context.Context, r wire.BuiltRequest) (model.Image, error) {
	if r.Digest != ContentDigest {
		return model.Image{}, model.Errorf(model.KindNotFound, "the builder has no image %s", r.Digest)
	}
	return model.Image{ID: CommittedID, Digest: r.Digest, OS: "linux"}, nil
}

// EndBuilder implements wire.Agent.
func (a *Agent) EndBuilder(context.Context, wire.EndBuilderRequest) error { return nil }

// ListBuilders implements wire.Agent.
func (a *Agent) ListBuilders(context.Context) ([]wire.BuilderInfo, error) {
	return []wire.BuilderInfo{{AccountID: NoBuilder}, {AccountID: "account", Runs: true}}, nil
}

// echo is a stream that gives back what it is given.
type echo struct {
	*io.PipeReader
	w *io.PipeWriter
}

func (e echo) Write(p []byte) (int, error) { return e.w.Write(p) }
func (e echo) CloseWrite() error           { return e.w.Close() }

func (e echo) Close() error {
	e.w.Close()
	return e.PipeReader.Close()
}

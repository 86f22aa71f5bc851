package agent

import (
	"context"
	"io"

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

// Sizes implements wire.Agent.
func (a *Agent) Sizes(context.Context, []string) (map[string]model.ContainerSize, error) {
	return nil, errLater
}

// StatPath implements wire.Agent.
func (a *Agent) StatPath(context.Context, string, string) (model.PathStat, error) {
	return model.PathStat{}, errLater
}

// ReadArchive implements wire.Agent.
func (a *Agent) ReadArchive(context.Context, string, string) (wire.Archive, error) {
	return wire.Archive{}, errLater
}

// WriteArchive implements wire.Agent.
func (a *Agent) WriteArchive(context.Context, string, wire.WriteArchiveRequest, io.Reader) error {
	return errLater
}

// Export implements wire.Agent.
func (a *Agent) Export(context.Context, string) (io.ReadCloser, error) { return nil, errLater }

// Changes implements wire.Agent.
func (a *Agent) Changes(context.Context, string) ([]model.FileChange, error) { return nil, errLater }

// Commit implements wire.Agent.
func (a *Agent) Commit(context.Context, string, wire.CommitRequest) (wire.Committed, error) {
	return wire.Committed{}, errLater
}

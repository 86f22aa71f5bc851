package agent

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

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

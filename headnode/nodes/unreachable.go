package nodes

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// unreachable is the agent of a node that cannot be asked. Every call says so.
type unreachable struct{}

var errUnreachable = model.Errorf(model.KindUnavailable, "the node that holds this cannot be reached; its containers may well be running; try again when it is back")

func (unreachable) Info(context.Context) (model.NodeInfo, error) {
	return model.NodeInfo{}, errUnreachable
}

func (unreachable) Containers(context.Context) ([]wire.ContainerRecord, error) {
	return nil, errUnreachable
}

func (unreachable) Create(context.Context, wire.CreateRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Start(context.Context, string) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Stop(context.Context, string, wire.StopRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Restart(context.Context, string, wire.StopRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Kill(context.Context, string, wire.KillRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Pause(context.Context, string) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Unpause(context.Context, string) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Update(context.Context, string, model.ContainerUpdate) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Stats(context.Context, string) (model.Stats, error) {
	return model.Stats{}, errUnreachable
}

func (unreachable) Health(context.Context, string) (model.Health, error) {
	return model.Health{}, errUnreachable
}

func (unreachable) Sizes(context.Context, []string) (map[string]model.ContainerSize, error) {
	return nil, errUnreachable
}

func (unreachable) StatPath(context.Context, string, string) (model.PathStat, error) {
	return model.PathStat{}, errUnreachable
}

func (unreachable) ReadArchive(context.Context, string, string) (wire.Archive, error) {
	return wire.Archive{}, errUnreachable
}

func (unreachable) WriteArchive(context.Context, string, wire.WriteArchiveRequest, io.Reader) error {
	return errUnreachable
}

func (unreachable) Export(context.Context, string) (io.ReadCloser, error) {
	return nil, errUnreachable
}

func (unreachable) Changes(context.Context, string) ([]model.FileChange, error) {
	return nil, errUnreachable
}

func (unreachable) Commit(context.Context, string, wire.CommitRequest) (wire.Committed, error) {
	return wire.Committed{}, errUnreachable
}

func (unreachable) Remove(context.Context, string, wire.RemoveRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Resize(context.Context, string, wire.TerminalSize) error { return errUnreachable }

func (unreachable) Top(context.Context, string, string) (wire.Processes, error) {
	return wire.Processes{}, errUnreachable
}

func (unreachable) Attach(context.Context, string, wire.AttachRequest) (wire.Stream, error) {
	return nil, errUnreachable
}

func (unreachable) Logs(context.Context, string, wire.LogsRequest) (io.ReadCloser, error) {
	return nil, errUnreachable
}

func (unreachable) ExecCreate(context.Context, string, wire.ExecSpec) error { return errUnreachable }

func (unreachable) ExecStart(context.Context, string, wire.ExecStartRequest) (wire.Stream, error) {
	return nil, errUnreachable
}

func (unreachable) ExecResize(context.Context, string, wire.TerminalSize) error {
	return errUnreachable
}

func (unreachable) ExecInspect(context.Context, string) (wire.ExecState, error) {
	return wire.ExecState{}, errUnreachable
}

func (unreachable) PullImage(context.Context, wire.PullRequest) (wire.PullStream, error) {
	return nil, errUnreachable
}

func (unreachable) Images(context.Context) ([]string, error) { return nil, errUnreachable }

func (unreachable) RemoveImage(context.Context, string) error { return errUnreachable }

func (unreachable) Journal(context.Context, wire.Ack) (wire.JournalStream, error) {
	return nil, errUnreachable
}

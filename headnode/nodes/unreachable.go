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

package agent

import (
	"context"
	"io"
	"slices"
	"strconv"

	"github.com/spearheadcloud/spearhead/agent/journal"
	"github.com/spearheadcloud/spearhead/agent/logship"
	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// Info implements wire.Agent.
func (a *Agent) Info(context.Context) (model.NodeInfo, error) { return a.info, nil }

// Containers implements wire.Agent.
func (a *Agent) Containers(context.Context) ([]wire.ContainerRecord, error) {
	all := []wire.ContainerRecord{}
	for _, s := range a.snapshots() {
		all = append(all, wire.ContainerRecord{ID: s.ID, AccountID: s.AccountID, State: s.State, Departing: s.Departing})
	}
	return all, nil
}

// Create implements wire.Agent.
func (a *Agent) Create(ctx context.Context, r wire.CreateRequest) (wire.Ack, error) {
	c := &r.Container
	if !model.IsID(c.ID) {
		return wire.Ack{}, model.Errorf(model.KindInvalid, "invalid container id %.80q", c.ID)
	}
	if a.nodeID != "" && c.NodeID != a.nodeID {
		return wire.Ack{}, model.Errorf(model.KindConflict, "container %s is promised to another node", c.ID)
	}
	for {
		t, err := a.getOrNew(c.ID)
		if err != nil {
			return wire.Ack{}, err
		}
		ack, err := t.Create(ctx, r)
		if !task.IsOver(err) {
			return ack, err
		}
		// Each turn has a new task: one that is over has left a.tasks.
	}
}

// Start implements wire.Agent.
func (a *Agent) Start(ctx context.Context, id string) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Start(ctx)
}

// Stop implements wire.Agent.
func (a *Agent) Stop(ctx context.Context, id string, r wire.StopRequest) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Stop(ctx, r)
}

// Restart implements wire.Agent.
func (a *Agent) Restart(ctx context.Context, id string, r wire.StopRequest) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Restart(ctx, r)
}

// Kill implements wire.Agent.
func (a *Agent) Kill(ctx context.Context, id string, r wire.KillRequest) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Kill(ctx, r)
}

// Remove implements wire.Agent.
func (a *Agent) Remove(ctx context.Context, id string, r wire.RemoveRequest) (wire.Ack, error) {
	t := a.find(id)
	if t == nil || r.Generation != nil && t.Snapshot().Generation != *r.Generation {
		return a.records.Place(), nil
	}
	if t.Snapshot().Phase == state.PhaseArriving {
		a.moves.forget(id)
	}
	return t.Remove(ctx, r)
}

// Resize implements wire.Agent.
func (a *Agent) Resize(ctx context.Context, id string, size wire.TerminalSize) error {
	if _, err := a.runningSnapshot(id); err != nil {
		return err
	}
	if err := a.drivers.Runtime.Resize(ctx, id, size.Rows, size.Columns); err != nil {
		return err
	}
	a.announce(id, "resize", "height", strconv.Itoa(int(size.Rows)), "width", strconv.Itoa(int(size.Columns)))
	return nil
}

// Top implements wire.Agent.
func (a *Agent) Top(ctx context.Context, id, psArgs string) (wire.Processes, error) {
	if _, err := a.runningSnapshot(id); err != nil {
		return wire.Processes{}, err
	}
	titles, rows, err := a.drivers.Runtime.Top(ctx, id, psArgs)
	if err == nil {
		a.announce(id, "top")
	}
	return wire.Processes{Titles: titles, Rows: rows}, err
}

// Attach implements wire.Agent.
func (a *Agent) Attach(ctx context.Context, id string, r wire.AttachRequest) (wire.Stream, error) {
	t, err := a.get(id)
	if err != nil {
		return nil, err
	}
	s := t.Snapshot()
	switch s.State.Status {
	case model.StatusPaused:
		return nil, model.Errorf(model.KindConflict, "container %s is paused, unpause the container before attach", id)
	case model.StatusRestarting:
		return nil, model.Errorf(model.KindConflict, "container %s is restarting, wait until the container is running", id)
	}
	stream, err := a.drivers.Runtime.Attach(ctx, id, runtime.AttachOptions{
		Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr,
		Logs: r.Logs, Stream: r.Stream, DetachKeys: r.DetachKeys,
	})
	if err != nil {
		return nil, err
	}
	a.announce(id, "attach")
	if !r.Stdin || !r.Stream || !s.Spec.Tty || !s.Spec.OpenStdin {
		return stream, nil
	}
	return &detachable{Stream: stream, over: func() {
		if a.hasProcess(id) {
			a.announce(id, "detach")
		}
	}}, nil
}

// hasProcess asks the runtime whether a container runs: it knows of an end
// before the container's task does.
func (a *Agent) hasProcess(id string) bool {
	all, err := a.drivers.Runtime.Running(a.running)
	return err == nil && slices.ContainsFunc(all, func(p runtime.Process) bool { return p.ID == id })
}

// Logs implements wire.Agent.
func (a *Agent) Logs(ctx context.Context, id string, r wire.LogsRequest) (io.ReadCloser, error) {
	t, err := a.get(id)
	if err != nil {
		return nil, err
	}
	s := t.Snapshot()
	if s.Spec.Log.Driver == "none" {
		return nil, model.Errorf(model.KindNotImplemented, "configured logging driver does not support reading")
	}
	o := runtime.LogOptions{
		Stdout: r.Stdout, Stderr: r.Stderr, Follow: r.Follow, Timestamps: r.Timestamps, Details: r.Details,
		Since: r.Since, Until: r.Until, Tail: r.Tail,
	}
	if r.Details {
		o.Attributes, err = logship.Details(logship.Container{ID: s.ID, Name: s.Name, Created: s.Created, Spec: s.Spec})
		if err != nil {
			return nil, err
		}
	}
	return a.drivers.Runtime.Logs(ctx, id, o)
}

// Journal implements wire.Agent.
func (a *Agent) Journal(ctx context.Context, after wire.Ack) (wire.JournalStream, error) {
	return journal.Follow(ctx, a.records, after), nil
}

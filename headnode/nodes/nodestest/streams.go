package nodestest

import (
	"context"
	"io"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// echo is a stream that gives back what it is given.
type echo struct {
	*io.PipeReader
	w *io.PipeWriter
}

func newEcho() *echo {
	r, w := io.Pipe()
	return &echo{r, w}
}

func (e *echo) Write(p []byte) (int, error) { return e.w.Write(p) }

func (e *echo) CloseWrite() error { return e.w.Close() }

func (e *echo) Close() error {
	e.w.Close()
	return e.PipeReader.Close()
}

// ExecCreate implements wire.Agent.
func (a *Agent) ExecCreate(_ context.Context, id string, r wire.ExecSpec) error {
	if err := a.enter(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if _, err := a.get(id); err != nil {
		return err
	}
	a.execs[r.ID] = wire.ExecState{ID: r.ID, ContainerID: id, Spec: r}
	return nil
}

// ExecStart implements wire.Agent: the exec ends with 0 at once. Its ConsoleSize
// is then that of the terminal it was started with.
func (a *Agent) ExecStart(_ context.Context, id string, r wire.ExecStartRequest) (wire.Stream, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	e, ok := a.execs[id]
	if !ok {
		return nil, noExec(id)
	}
	e.ExitCode, e.Spec.ConsoleSize = new(int), r.Size
	a.execs[id] = e
	if r.Detach {
		return nil, nil
	}
	return newEcho(), nil
}

// ExecResize implements wire.Agent.
func (a *Agent) ExecResize(ctx context.Context, id string, _ wire.TerminalSize) error {
	_, err := a.ExecInspect(ctx, id)
	return err
}

// ExecInspect implements wire.Agent.
func (a *Agent) ExecInspect(_ context.Context, id string) (wire.ExecState, error) {
	if err := a.enter(); err != nil {
		return wire.ExecState{}, err
	}
	defer a.mu.Unlock()
	e, ok := a.execs[id]
	if !ok {
		return e, noExec(id)
	}
	return e, nil
}

func noExec(id string) error {
	return model.Errorf(model.KindNotFound, "No such exec instance: %s", id)
}

// PullImage implements wire.Agent with what was published.
func (a *Agent) PullImage(_ context.Context, r wire.PullRequest) (wire.PullStream, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	img, ok := a.registry[r.Ref]
	if !ok {
		return &pull{{Error: &wire.ErrorBody{Kind: model.KindNotFound, Text: "manifest for " + r.Ref + " not found"}}}, nil
	}
	_, held := a.images[img.ID]
	a.images[img.ID] = img
	return &pull{
		{Progress: &wire.PullProgress{Layer: "0123456789ab", Status: "Pull complete"}},
		{Image: &wire.PulledImage{Image: img, Digest: img.Digest, New: !held}},
	}, nil
}

type pull []wire.PullMessage

func (p *pull) Next() (wire.PullMessage, error) {
	if len(*p) == 0 {
		return wire.PullMessage{}, io.EOF
	}
	m := (*p)[0]
	*p = (*p)[1:]
	return m, nil
}

func (p *pull) Close() error { return nil }

// Images implements wire.Agent.
func (a *Agent) Images(context.Context) ([]string, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	var ids []string
	for id := range a.images {
		ids = append(ids, id)
	}
	return ids, nil
}

// RemoveImage implements wire.Agent.
func (a *Agent) RemoveImage(_ context.Context, id string) error {
	if err := a.enter(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	for _, c := range a.containers {
		if c.spec.Spec.ImageID == id {
			return model.Errorf(model.KindConflict, "image is in use")
		}
	}
	delete(a.images, id)
	return nil
}

// Journal implements wire.Agent. Signs of life come often, so that tests need
// not wait.
func (a *Agent) Journal(ctx context.Context, after wire.Ack) (wire.JournalStream, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	if after.Epoch == a.epoch && after.Seq <= uint64(len(a.journal)) {
		a.acknowledged = max(a.acknowledged, after.Seq)
	}
	// What was acknowledged is forgotten.
	return &journal{agent: a, ctx: ctx, next: a.acknowledged}, nil
}

type journal struct {
	agent *Agent
	ctx   context.Context // of the call: the stream's life
	next  uint64
}

const signOfLife = 20 * time.Millisecond

func (j *journal) Epoch() string { return j.agent.epoch }

func (j *journal) Close() error { return nil }

func (j *journal) Next() ([]model.JournalEntry, error) {
	for {
		j.agent.mu.Lock()
		entries, grown, cut := j.agent.journal[min(j.next, uint64(len(j.agent.journal))):], j.agent.grown, j.agent.cut
		j.agent.mu.Unlock()
		if cut {
			return nil, errCut
		}
		if len(entries) > 0 {
			j.next += uint64(len(entries))
			return append([]model.JournalEntry(nil), entries...), nil
		}
		select {
		case <-grown:
		case <-time.After(signOfLife):
			return nil, nil
		case <-j.ctx.Done():
			return nil, j.ctx.Err()
		}
	}
}

package agent

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// An exec that is over is known for execMemory at least, and then until its
// container ends; of a container that is asked very often, the newest execLimit.
const (
	execMemory = 5 * time.Minute
	execLimit  = 4096
)

// execs is the register of processes that were asked for inside of containers.
type execs struct {
	agent *Agent

	mu   sync.Mutex // guards byID and what its entries point to
	byID map[string]*state.Exec
}

func newExecs(a *Agent) *execs {
	return &execs{agent: a, byID: make(map[string]*state.Exec)}
}

// recover takes over the execs that an earlier process recorded.
func (x *execs) recover() error {
	all, err := x.agent.records.Execs()
	if err != nil {
		return err
	}
	for _, e := range all {
		x.byID[e.Spec.ID] = &e
		if e.Started && e.Ended.IsZero() {
			x.watch(e)
		}
	}
	return nil
}

func (x *execs) get(id string) (state.Exec, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.byID[id]; e != nil {
		return *e, nil
	}
	return state.Exec{}, model.Errorf(model.KindNotFound, "No such exec instance: %s", id)
}

// record writes e down with an entry about it, and then remembers it.
func (x *execs) record(ctx context.Context, e state.Exec, action string, attributes map[string]string) error {
	if attributes == nil {
		attributes = make(map[string]string)
	}
	attributes["execID"] = e.Spec.ID
	_, err := x.agent.records.Commit(ctx, state.Change{Exec: &e, Entries: []model.JournalEntry{{
		Time: time.Now(), ContainerID: e.Container, Action: action, Attributes: attributes,
	}}})
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.byID[e.Spec.ID] = &e
	return nil
}

// claim marks an exec as started, once.
func (x *execs) claim(id string) (state.Exec, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.byID[id]
	switch {
	case e == nil:
		return state.Exec{}, model.Errorf(model.KindNotFound, "No such exec instance: %s", id)
	case !e.Ended.IsZero():
		return state.Exec{}, model.Errorf(model.KindConflict, "Error: Exec command %s has already run", id)
	case e.Started:
		return state.Exec{}, model.Errorf(model.KindConflict, "Error: Exec command %s is already running", id)
	}
	e.Started = true
	return *e, nil
}

// mayExec says why a container takes no more processes.
func (a *Agent) mayExec(container string) error {
	s, err := a.runningSnapshot(container)
	switch {
	case err != nil && s.Phase == state.PhaseWaiting:
		return model.Errorf(model.KindConflict, "Container %s is restarting, wait until the container is running", container)
	case err != nil:
		return err
	case s.State.Status == model.StatusPaused:
		return model.Errorf(model.KindConflict, "Container %s is paused, unpause the container before exec", container)
	}
	return nil
}

// ExecCreate implements wire.Agent.
func (a *Agent) ExecCreate(ctx context.Context, container string, r wire.ExecSpec) error {
	if !model.IsID(r.ID) {
		return model.Errorf(model.KindInvalid, "invalid exec id %.80q", r.ID)
	}
	if len(r.Args) == 0 {
		return model.Errorf(model.KindInvalid, "No exec command specified")
	}
	if err := a.mayExec(container); err != nil {
		return err
	}
	if _, err := a.execs.get(r.ID); err == nil {
		return nil // asked again
	}
	e := state.Exec{Spec: r, Container: container, Created: time.Now()}
	return a.execs.record(ctx, e, "exec_create: "+strings.Join(r.Args, " "), nil)
}

// ExecStart implements wire.Agent.
func (a *Agent) ExecStart(ctx context.Context, id string, r wire.ExecStartRequest) (wire.Stream, error) {
	e, err := a.execs.get(id)
	if err != nil {
		return nil, err
	}
	if err := a.mayExec(e.Container); err != nil {
		return nil, err
	}
	if e, err = a.execs.claim(id); err != nil {
		return nil, err
	}
	if err := a.execs.record(ctx, e, "exec_start: "+strings.Join(e.Spec.Args, " "), nil); err != nil {
		a.execs.ended(e, 126)
		return nil, err
	}
	stream, err := a.drivers.Runtime.ExecStart(ctx, e.Container, execSpec(e.Spec, r))
	if err != nil {
		a.execs.ended(e, exitCodeOfExec(err))
		return nil, err
	}
	a.execs.watch(e)
	if stream == nil {
		return nil, nil
	}
	if !e.Spec.Tty || !e.Spec.Stdin {
		return stream, nil
	}
	return &detachable{Stream: stream, over: func() {
		if now, err := a.drivers.Runtime.ExecState(a.running, id); err == nil && now.Running {
			a.announce(e.Container, "exec_detach", "execID", id)
		}
	}}, nil
}

func execSpec(s wire.ExecSpec, r wire.ExecStartRequest) runtime.ExecSpec {
	spec := runtime.ExecSpec{
		ID: s.ID, Args: s.Args, Env: s.Env, User: s.User, WorkingDir: s.WorkingDir,
		Tty: s.Tty, Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr,
		Privileged: s.Privileged, DetachKeys: s.DetachKeys, Detach: r.Detach,
	}
	if size := cmp.Or(r.Size, s.ConsoleSize); size != nil {
		spec.Size = &[2]uint16{size.Rows, size.Columns}
	}
	return spec
}

// exitCodeOfExec is the exit code of an exec that could not be started, as a
// shell has it.
func exitCodeOfExec(err error) int {
	text := model.UserText(err)
	if strings.Contains(text, "executable file not found") || strings.Contains(text, "no such file or directory") {
		return 127
	}
	return 126
}

// ExecResize implements wire.Agent.
func (a *Agent) ExecResize(ctx context.Context, id string, size wire.TerminalSize) error {
	if _, err := a.execs.get(id); err != nil {
		return err
	}
	return a.drivers.Runtime.ExecResize(ctx, id, size.Rows, size.Columns)
}

// ExecInspect implements wire.Agent.
func (a *Agent) ExecInspect(ctx context.Context, id string) (wire.ExecState, error) {
	e, err := a.execs.get(id)
	if err != nil {
		return wire.ExecState{}, err
	}
	s := wire.ExecState{ID: id, ContainerID: e.Container, Spec: e.Spec}
	switch {
	case !e.Ended.IsZero():
		s.ExitCode = &e.ExitCode
	case e.Started:
		now, err := a.drivers.Runtime.ExecState(ctx, id)
		if err != nil && !model.IsKind(err, model.KindNotFound) {
			return wire.ExecState{}, err
		}
		s.Running, s.Pid, s.ExitCode = now.Running, now.Pid, now.ExitCode
	}
	return s, nil
}

// forgetOld drops execs that nobody will ask about again.
func (x *execs) forgetOld(now time.Time) {
	old := x.old(now)
	if len(old) == 0 {
		return
	}
	if _, err := x.agent.records.Commit(x.agent.running, state.Change{ForgetExecs: old}); err != nil {
		x.agent.log.Warn("cannot forget old execs", "op", "exec", "err", err)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range old {
		delete(x.byID, id)
	}
}

func (x *execs) old(now time.Time) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var old []string
	spare := len(x.byID) - execLimit
	for id, e := range x.byID {
		since := e.Ended
		if !e.Started {
			since = e.Created
		}
		if since.IsZero() || now.Sub(since) < execMemory {
			continue
		}
		if _, err := x.agent.runningSnapshot(e.Container); err != nil || len(old) < spare {
			old = append(old, id)
		}
	}
	return old
}

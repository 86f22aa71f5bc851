package agent

import (
	"cmp"
	"context"
	"io"
	"strconv"
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

// execPoll is how often a running exec is looked at whose streams do not tell
// of its end, because nobody is joined to them.
const execPoll = 250 * time.Millisecond

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
			x.watch(e, nil)
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

// ExecCreate implements wire.Agent.
func (a *Agent) ExecCreate(ctx context.Context, container string, r wire.ExecSpec) error {
	if !model.IsID(r.ID) {
		return model.Errorf(model.KindInvalid, "invalid exec id %.80q", r.ID)
	}
	if len(r.Args) == 0 {
		return model.Errorf(model.KindInvalid, "No exec command specified")
	}
	if _, err := a.runningSnapshot(container); err != nil {
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
	if _, err := a.runningSnapshot(e.Container); err != nil {
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
	if stream == nil {
		a.execs.watch(e, nil)
		return nil, nil
	}
	s := &execStream{Stream: stream, over: make(chan struct{})}
	a.execs.watch(e, s.over)
	return s, nil
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

// watch waits for the end of a running exec and records it. over is closed
// when its output has ended; nil if nobody reads it.
func (x *execs) watch(e state.Exec, over <-chan struct{}) {
	x.agent.loops.Go(func() {
		tick := time.NewTicker(execPoll)
		defer tick.Stop()
		for {
			select {
			case <-over:
				over = nil // from now on the ticker alone
			case <-tick.C:
			case <-x.agent.running.Done():
				return
			}
			if code, ended := x.look(e); ended {
				x.ended(e, code)
				return
			}
		}
	})
}

// look asks the runtime whether an exec has ended. One that the runtime does
// not know went with its container, or with the machine.
func (x *execs) look(e state.Exec) (code int, ended bool) {
	now, err := x.agent.drivers.Runtime.ExecState(x.agent.running, e.Spec.ID)
	switch {
	case model.IsKind(err, model.KindNotFound):
		return 137, true
	case err != nil || now.Running || now.ExitCode == nil:
		return 0, false
	}
	return *now.ExitCode, true
}

// ended records the end of an exec.
func (x *execs) ended(e state.Exec, code int) {
	e.Started, e.Ended, e.ExitCode = true, time.Now(), code
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.agent.running), execMemory)
	defer cancel()
	if err := x.record(ctx, e, "exec_die", map[string]string{"exitCode": strconv.Itoa(code)}); err != nil {
		x.agent.log.Error("cannot record the end of an exec", "op", "exec", "container", e.Container, "err", err)
	}
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

// execStream notices the end of an exec's output.
type execStream struct {
	wire.Stream
	over chan struct{}
	once sync.Once
}

func (s *execStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err == io.EOF {
		s.once.Do(func() { close(s.over) })
	}
	return n, err
}

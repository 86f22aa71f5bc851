package wiretest

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/moby/sys/signal"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// What the Agent of this package knows of images.
const (
	NodeID     = "1111111111111111111111111111111111111111111111111111111111111111"
	ImageID    = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	GoodRef    = "registry.test/cat:latest"
	BadRef     = "registry.test/missing:latest"
	EndlessRef = "registry.test/endless:latest" // its pull never ends by itself
)

// Agent is a node in memory. Its containers and execs run a Process, whatever
// they are asked to run.
type Agent struct {
	epoch   string
	waiters sync.WaitGroup // for the ends of containers

	mu         sync.Mutex
	changed    chan struct{} // closed at the next entry
	entries    []model.JournalEntry
	containers map[string]*container
	execs      map[string]*exec
	images     map[string]bool
	networks   wire.NodeNetworks
}

type container struct {
	request wire.CreateRequest
	state   model.ContainerState
	process *Process          // of the newest run, or of the one to come
	files   map[string][]byte // archives that were unpacked, by path

	departing bool
}

type exec struct {
	container string
	spec      wire.ExecSpec
	process   *Process
	started   bool
}

var _ wire.Agent = (*Agent)(nil)

// NewAgent returns a node without containers. Close it in the end.
func NewAgent() *Agent {
	return &Agent{
		epoch:      model.ShortID(model.NewID()),
		changed:    make(chan struct{}),
		containers: make(map[string]*container),
		execs:      make(map[string]*exec),
		images:     map[string]bool{ImageID: true},
	}
}

// Close ends all containers and execs, as a power cut would.
func (a *Agent) Close() {
	a.mu.Lock()
	for _, c := range a.containers {
		c.process.Signal(syscall.SIGKILL)
	}
	for _, x := range a.execs {
		x.process.Signal(syscall.SIGKILL)
	}
	a.mu.Unlock()
	a.waiters.Wait()
}

// log appends to the journal; mu is held.
func (a *Agent) log(id, action string, s *model.ContainerState, attributes ...string) wire.Ack {
	e := model.JournalEntry{Seq: uint64(len(a.entries)) + 1, Time: time.Now(), ContainerID: id, Action: action}
	if s != nil {
		after := *s
		e.State = &after
	}
	for i := 0; i+1 < len(attributes); i += 2 {
		if e.Attributes == nil {
			e.Attributes = make(map[string]string)
		}
		e.Attributes[attributes[i]] = attributes[i+1]
	}
	a.entries = append(a.entries, e)
	close(a.changed)
	a.changed = make(chan struct{})
	return a.place()
}

func (a *Agent) place() wire.Ack { return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.entries))} }

func (a *Agent) get(id string) (*container, error) {
	if c := a.containers[id]; c != nil {
		return c, nil
	}
	return nil, model.Errorf(model.KindNotFound, "No such container: %s", id)
}

// Info implements wire.Agent.
func (a *Agent) Info(context.Context) (model.NodeInfo, error) {
	return model.NodeInfo{
		Hostname: "memory", Architecture: "amd64", CPUs: 4, Storage: "overlay",
		Capacity: model.Resources{Memory: 8 << 30, CPU: 4000, Disk: 100 << 30},
	}, nil
}

// Containers implements wire.Agent.
func (a *Agent) Containers(context.Context) ([]wire.ContainerRecord, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []wire.ContainerRecord{}
	for id, c := range a.containers {
		all = append(all, wire.ContainerRecord{ID: id, AccountID: c.request.Container.AccountID, State: c.state})
	}
	return all, nil
}

// Create implements wire.Agent.
func (a *Agent) Create(_ context.Context, r wire.CreateRequest) (wire.Ack, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := r.Container.ID
	if !model.IsID(id) {
		return wire.Ack{}, model.Errorf(model.KindInvalid, "invalid container id %q", id)
	}
	if a.containers[id] != nil {
		return a.place(), nil
	}
	if !a.images[r.Container.Spec.ImageID] {
		return wire.Ack{}, model.Errorf(model.KindNotFound, "No such image: %s", r.Container.Spec.ImageID)
	}
	c := &container{request: r, state: model.ContainerState{Status: model.StatusCreated}, process: NewProcess()}
	a.containers[id] = c
	return a.log(id, model.ActionCreate, &c.state), nil
}

// Start implements wire.Agent.
func (a *Agent) Start(_ context.Context, id string) (wire.Ack, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return a.start(c)
}

func (a *Agent) start(c *container) (wire.Ack, error) {
	id := c.request.Container.ID
	if c.departing {
		return a.place(), model.Errorf(model.KindConflict, "container %s is being moved to another node", id)
	}
	if c.state.Status == model.StatusPaused {
		return a.place(), model.Errorf(model.KindConflict, "cannot start a paused container, try unpause instead")
	}
	if c.state.Status.Running() {
		return a.place(), model.Errorf(model.KindNotModified, "container %s is already running", id)
	}
	if !c.state.StartedAt.IsZero() {
		c.process = NewProcess()
	}
	c.state.Status, c.state.Pid, c.state.StartedAt = model.StatusRunning, 1000, time.Now()
	ack := a.log(id, "start", &c.state)
	process := c.process
	process.Start()
	a.waiters.Go(func() {
		<-process.Done()
		a.ended(c, process)
	})
	return ack, nil
}

func (a *Agent) ended(c *container, p *Process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.process != p || !c.state.Status.Running() {
		return
	}
	c.state.Status, c.state.Pid = model.StatusExited, 0
	c.state.ExitCode, c.state.FinishedAt = p.ExitCode(), time.Now()
	a.log(c.request.Container.ID, "die", &c.state, "exitCode", strconv.Itoa(c.state.ExitCode))
}

// awaitEnd waits until the end of the newest run is in the journal.
func (a *Agent) awaitEnd(ctx context.Context, c *container) error {
	for {
		a.mu.Lock()
		running, changed := c.state.Status.Running(), a.changed
		a.mu.Unlock()
		if !running {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends a signal to a running container.
func (a *Agent) send(id, name, fallback string) (*container, wire.Ack, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return nil, wire.Ack{}, err
	}
	if name == "" {
		name = fallback
	}
	sig, err := signal.ParseSignal(name)
	if err != nil {
		return nil, wire.Ack{}, model.Errorf(model.KindInvalid, "Invalid signal: %s", name)
	}
	if !c.state.Status.Running() {
		return c, a.place(), model.Errorf(model.KindConflict, "container %s is not running", id)
	}
	ack := a.log(id, "kill", nil, "signal", strconv.Itoa(int(sig)))
	if c.state.Status == model.StatusPaused {
		c.state.Status = model.StatusRunning
		ack = a.log(id, "unpause", &c.state)
	}
	c.process.Signal(sig)
	return c, ack, nil
}

// Stop implements wire.Agent.
func (a *Agent) Stop(ctx context.Context, id string, r wire.StopRequest) (wire.Ack, error) {
	c, ack, err := a.send(id, r.Signal, "TERM")
	if model.IsKind(err, model.KindConflict) {
		return ack, model.Errorf(model.KindNotModified, "container %s is not running", id)
	}
	if err != nil {
		return ack, err
	}
	if err := a.awaitEnd(ctx, c); err != nil {
		return ack, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log(id, "stop", nil), nil
}

// Restart implements wire.Agent.
func (a *Agent) Restart(ctx context.Context, id string, r wire.StopRequest) (wire.Ack, error) {
	if ack, err := a.Stop(ctx, id, r); err != nil && !model.IsKind(err, model.KindNotModified) {
		return ack, err
	}
	if ack, err := a.Start(ctx, id); err != nil {
		return ack, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log(id, "restart", nil), nil
}

// Kill implements wire.Agent.
func (a *Agent) Kill(_ context.Context, id string, r wire.KillRequest) (wire.Ack, error) {
	_, ack, err := a.send(id, r.Signal, "KILL")
	return ack, err
}

// Remove implements wire.Agent.
func (a *Agent) Remove(ctx context.Context, id string, r wire.RemoveRequest) (wire.Ack, error) {
	a.mu.Lock()
	c := a.containers[id]
	here, running := a.place(), c != nil && c.state.Status.Running()
	a.mu.Unlock()
	switch {
	case c == nil:
		return here, nil
	case running && !r.Force:
		return here, model.Errorf(model.KindConflict, "cannot remove container %q: container is running: stop the container before removing or force remove", "/"+c.request.Container.Name)
	case running:
		c.process.Signal(syscall.SIGKILL)
		if err := a.awaitEnd(ctx, c); err != nil {
			return here, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.containers, id)
	return a.log(id, model.ActionDestroy, nil), nil
}

// Resize implements wire.Agent.
func (a *Agent) Resize(_ context.Context, id string, _ wire.TerminalSize) error {
	_, err := a.runningProcess(id)
	return err
}

// Top implements wire.Agent.
func (a *Agent) Top(_ context.Context, id, psArgs string) (wire.Processes, error) {
	if _, err := a.runningProcess(id); err != nil {
		return wire.Processes{}, err
	}
	return wire.Processes{Titles: []string{"PID", "CMD"}, Rows: [][]string{{"1000", "cat " + psArgs}}}, nil
}

func (a *Agent) runningProcess(id string) (*Process, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return nil, err
	}
	if !c.state.Status.Running() {
		return nil, model.Errorf(model.KindConflict, "container %s is not running", id)
	}
	return c.process, nil
}

func (a *Agent) process(id string) (*Process, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return nil, err
	}
	return c.process, nil
}

// Attach implements wire.Agent.
func (a *Agent) Attach(ctx context.Context, id string, r wire.AttachRequest) (wire.Stream, error) {
	p, err := a.process(id)
	if err != nil {
		return nil, err
	}
	return p.Attach(ctx, r.Logs), nil
}

// Logs implements wire.Agent.
func (a *Agent) Logs(ctx context.Context, id string, r wire.LogsRequest) (io.ReadCloser, error) {
	p, err := a.process(id)
	if err != nil {
		return nil, err
	}
	return p.Log(ctx, r.Follow), nil
}

// ExecCreate implements wire.Agent.
func (a *Agent) ExecCreate(_ context.Context, id string, r wire.ExecSpec) error {
	if _, err := a.runningProcess(id); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.containers[id].state.Status == model.StatusPaused {
		return model.Errorf(model.KindConflict, "Container %s is paused, unpause the container before exec", id)
	}
	a.execs[r.ID] = &exec{container: id, spec: r, process: NewProcess()}
	return nil
}

func (a *Agent) exec(id string) (*exec, error) {
	if x := a.execs[id]; x != nil {
		return x, nil
	}
	return nil, model.Errorf(model.KindNotFound, "No such exec instance: %s", id)
}

// ExecStart implements wire.Agent.
func (a *Agent) ExecStart(ctx context.Context, id string, r wire.ExecStartRequest) (wire.Stream, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, err := a.exec(id)
	if err != nil {
		return nil, err
	}
	if x.started {
		return nil, model.Errorf(model.KindConflict, "Error: Exec command %s is already running", id)
	}
	x.started = true
	x.process.Start()
	if r.Detach {
		return nil, nil
	}
	return x.process.Attach(ctx, true), nil
}

// ExecResize implements wire.Agent.
func (a *Agent) ExecResize(_ context.Context, id string, _ wire.TerminalSize) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.exec(id)
	return err
}

// ExecInspect implements wire.Agent.
func (a *Agent) ExecInspect(_ context.Context, id string) (wire.ExecState, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, err := a.exec(id)
	if err != nil {
		return wire.ExecState{}, err
	}
	s := wire.ExecState{ID: id, ContainerID: x.container, Spec: x.spec, Running: x.process.Running()}
	if x.started && !s.Running {
		code := x.process.ExitCode()
		s.ExitCode = &code
	}
	return s, nil
}

// Images implements wire.Agent.
func (a *Agent) Images(context.Context) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := []string{}
	for id := range a.images {
		ids = append(ids, id)
	}
	return ids, nil
}

// RemoveImage implements wire.Agent.
func (a *Agent) RemoveImage(_ context.Context, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.containers {
		if c.request.Container.Spec.ImageID == id {
			return model.Errorf(model.KindConflict, "image %s is being used by a container of this node", id)
		}
	}
	if !a.images[id] {
		return model.Errorf(model.KindNotFound, "No such image: %s", id)
	}
	delete(a.images, id)
	return nil
}

// PullImage implements wire.Agent.
func (a *Agent) PullImage(ctx context.Context, r wire.PullRequest) (wire.PullStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	return &pullStream{agent: a, ctx: ctx, cancel: cancel, ref: r.Ref}, nil
}

type pullStream struct {
	agent  *Agent
	ctx    context.Context
	cancel context.CancelFunc
	ref    string
	step   int
}

func (s *pullStream) Next() (wire.PullMessage, error) {
	s.step++
	switch {
	case s.step == 1:
		return wire.PullMessage{Progress: &wire.PullProgress{Layer: "0123456789ab", Status: "Downloading", Current: 1, Total: 2}}, nil
	case s.step > 2:
		return wire.PullMessage{}, io.EOF
	case s.ref == EndlessRef:
		<-s.ctx.Done()
		return wire.PullMessage{}, s.ctx.Err()
	case s.ref != GoodRef:
		return wire.PullMessage{Error: &wire.ErrorBody{Kind: model.KindNotFound, Text: fmt.Sprintf("manifest for %s not found", s.ref)}}, nil
	}
	s.agent.mu.Lock()
	defer s.agent.mu.Unlock()
	s.agent.images[ImageID] = true
	return wire.PullMessage{Image: &wire.PulledImage{Image: model.Image{ID: ImageID, OS: "linux"}, Digest: ImageID, New: true}}, nil
}

func (s *pullStream) Close() error {
	s.cancel()
	return nil
}

// Journal implements wire.Agent.
func (a *Agent) Journal(ctx context.Context, after wire.Ack) (wire.JournalStream, error) {
	s := &journalStream{agent: a, life: time.NewTicker(2 * time.Second)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if after.Epoch == a.epoch {
		s.place = after.Seq
	}
	return s, nil
}

type journalStream struct {
	agent  *Agent
	ctx    context.Context
	cancel context.CancelFunc
	place  uint64
	life   *time.Ticker
}

func (s *journalStream) Epoch() string { return s.agent.epoch }

func (s *journalStream) Next() ([]model.JournalEntry, error) {
	for {
		s.agent.mu.Lock()
		ready := append([]model.JournalEntry(nil), s.agent.entries[s.place:]...)
		changed := s.agent.changed
		s.agent.mu.Unlock()
		if err := s.ctx.Err(); err != nil {
			return nil, err
		}
		if len(ready) > 0 {
			s.place += uint64(len(ready))
			return ready, nil
		}
		select {
		case <-changed:
		case <-s.life.C:
			return nil, nil
		case <-s.ctx.Done():
		}
	}
}

func (s *journalStream) Close() error {
	s.cancel()
	s.life.Stop()
	return nil
}

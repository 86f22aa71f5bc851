package nodestest

import (
	"context"
	"io"
	"maps"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Agent is a node in memory. It is safe for concurrent use.
type Agent struct {
	epoch string

	mu         sync.Mutex
	info       model.NodeInfo
	containers map[string]*container
	execs      map[string]wire.ExecState
	volumes    map[string]*volume
	images     map[string]model.Image // held, by id
	registry   map[string]model.Image // what a pull finds, by normalized reference
	journal    []model.JournalEntry
	grown      chan struct{} // closed when the journal grows or the link changes
	cut        bool
	failCreate error
	failUpdate error
	failCopy   error
	shed       []string

	acknowledged uint64
	networks     wire.NodeNetworks
	failRemove   error
	standing     attended
	others       map[string]*Agent // that containers can be fetched from
	failMove     func(call string) error
	removing     func() // called before a volume is removed
}

type container struct {
	spec  model.Container
	state model.ContainerState
	files map[string][]byte // archives that were unpacked, by path
	moved moved
}

var _ wire.Agent = (*Agent)(nil)

// New returns a node that is large and has the NIC tag "external".
func New() *Agent {
	return &Agent{
		epoch: model.NewID()[:16],
		info: model.NodeInfo{
			Hostname: "node", Architecture: "amd64", OperatingSystem: "Debian", CPUs: 64,
			Capacity: model.Resources{Memory: 256 << 30, CPU: 64_000, Disk: 1 << 40},
			NICTags:  []string{"external"}, Underlay: netip.MustParseAddr("10.1.0.1"), DiskQuota: true, Runtime: "none",
		},
		containers: map[string]*container{}, volumes: map[string]*volume{}, execs: map[string]wire.ExecState{},
		images: map[string]model.Image{}, registry: map[string]model.Image{}, grown: make(chan struct{}),
	}
}

// SetInfo changes what the node says of itself.
func (a *Agent) SetInfo(change func(*model.NodeInfo)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.info)
}

// Publish makes a pull of ref find img.
func (a *Agent) Publish(ref string, img model.Image) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.registry[ref] = img
}

// FailCreate makes creations fail with err, or succeed again if it is nil.
func (a *Agent) FailCreate(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failCreate = err
}

// FailUpdate makes updates fail with err, or succeed again if it is nil.
func (a *Agent) FailUpdate(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failUpdate = err
}

// Spec is the specification of a container as the node has it.
func (a *Agent) Spec(id string) model.ContainerSpec {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return model.ContainerSpec{}
	}
	return c.spec.Spec
}

// Cut makes every call fail as that to a machine out of reach, and streams
// end, until it is called with false.
func (a *Agent) Cut(cut bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = cut
	a.wake()
}

// Put gives the node a container that no head asked for.
func (a *Agent) Put(c model.Container) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.containers[c.ID] = &container{spec: c, state: c.State}
}

// Acknowledged is up to where a head has told that it has the journal.
func (a *Agent) Acknowledged() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acknowledged
}

// Wipe makes the node forget everything, as one whose disk was replaced.
func (a *Agent) Wipe() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch = model.NewID()[:16]
	a.journal, a.acknowledged = nil, 0
	clear(a.containers)
	clear(a.images)
	clear(a.execs)
	clear(a.volumes)
}

// Has reports whether the node has the container.
func (a *Agent) Has(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.containers[id] != nil
}

// Exit ends a running container by itself.
func (a *Agent) Exit(id string, code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.containers[id]; c != nil && c.state.Status.Running() {
		a.die(c, code)
		if c.spec.Spec.AutoRemove {
			a.destroy(c)
		}
	}
}

// ExitAndRestart ends a running container once for each code, and starts it
// again after each end: all of it in one batch of the journal.
func (a *Agent) ExitAndRestart(id string, codes ...int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, code := range codes {
		if c := a.containers[id]; c != nil {
			a.die(c, code)
			a.start(c)
		}
	}
}

func (a *Agent) wake() {
	close(a.grown)
	a.grown = make(chan struct{})
}

var errCut = model.Errorf(model.KindUnavailable, "the node that holds this cannot be reached; try again when it is back")

// enter takes the lock, or fails if the node is cut off.
func (a *Agent) enter() error {
	a.mu.Lock()
	if a.cut {
		a.mu.Unlock()
		return errCut
	}
	return nil
}

func (a *Agent) get(id string) (*container, error) {
	c := a.containers[id]
	if c == nil {
		return nil, model.Errorf(model.KindNotFound, "No such container: %s", id)
	}
	return c, nil
}

// open takes the lock and finds a container; without an error the caller
// unlocks.
func (a *Agent) open(id string) (*container, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	c, err := a.get(id)
	if err != nil {
		a.mu.Unlock()
	}
	return c, err
}

func (a *Agent) write(c *container, action string, attributes map[string]string) wire.Ack {
	state := c.state
	a.journal = append(a.journal, model.JournalEntry{
		Seq: uint64(len(a.journal) + 1), Time: time.Now().UTC(), ContainerID: c.spec.ID,
		Action: action, Attributes: maps.Clone(attributes), State: &state,
	})
	a.wake()
	return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}
}

func (a *Agent) die(c *container, code int) wire.Ack {
	c.state.Status, c.state.Pid, c.state.ExitCode, c.state.FinishedAt = model.StatusExited, 0, code, time.Now().UTC()
	return a.write(c, "die", map[string]string{"exitCode": strconv.Itoa(code)})
}

func (a *Agent) destroy(c *container) wire.Ack {
	delete(a.containers, c.spec.ID)
	return a.write(c, model.ActionDestroy, nil)
}

// Info implements wire.Agent.
func (a *Agent) Info(context.Context) (model.NodeInfo, error) {
	if err := a.enter(); err != nil {
		return model.NodeInfo{}, err
	}
	defer a.mu.Unlock()
	return a.info, nil
}

// Containers implements wire.Agent.
func (a *Agent) Containers(context.Context) ([]wire.ContainerRecord, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	var out []wire.ContainerRecord
	for id, c := range a.containers {
		out = append(out, wire.ContainerRecord{ID: id, AccountID: c.spec.AccountID, State: c.state, Departing: c.moved.departing})
	}
	return out, nil
}

// Create implements wire.Agent.
func (a *Agent) Create(_ context.Context, r wire.CreateRequest) (wire.Ack, error) {
	if err := a.enter(); err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	if a.failCreate != nil {
		return wire.Ack{}, a.failCreate
	}
	if a.containers[r.Container.ID] != nil {
		return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}, nil
	}
	c := &container{spec: r.Container, state: model.ContainerState{Status: model.StatusCreated}}
	a.containers[c.spec.ID] = c
	a.makeVolumes(r.Volumes)
	return a.write(c, model.ActionCreate, nil), nil
}

// Start implements wire.Agent.
func (a *Agent) Start(_ context.Context, id string) (wire.Ack, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	if c.moved.departing || c.moved.arriving {
		return wire.Ack{}, model.Errorf(model.KindConflict, "container %s is being moved", id)
	}
	if c.state.Status.Running() {
		return wire.Ack{}, model.Errorf(model.KindNotModified, "container is running already")
	}
	return a.start(c), nil
}

func (a *Agent) start(c *container) wire.Ack {
	c.state.Status, c.state.Pid, c.state.StartedAt = model.StatusRunning, 4711, time.Now().UTC()
	return a.write(c, "start", nil)
}

// Stop implements wire.Agent.
func (a *Agent) Stop(_ context.Context, id string, _ wire.StopRequest) (wire.Ack, error) {
	return a.end(id, 143, model.KindNotModified)
}

// Kill implements wire.Agent.
func (a *Agent) Kill(_ context.Context, id string, _ wire.KillRequest) (wire.Ack, error) {
	return a.end(id, 137, model.KindConflict)
}

func (a *Agent) end(id string, code int, otherwise model.Kind) (wire.Ack, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	if !c.state.Status.Running() {
		return wire.Ack{}, model.Errorf(otherwise, "container %s is not running", id)
	}
	ack := a.die(c, code)
	if c.spec.Spec.AutoRemove {
		ack = a.destroy(c)
	}
	return ack, nil
}

// Restart implements wire.Agent.
func (a *Agent) Restart(_ context.Context, id string, _ wire.StopRequest) (wire.Ack, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	if c.state.Status.Running() {
		a.die(c, 143)
	}
	return a.start(c), nil
}

// Remove implements wire.Agent.
func (a *Agent) Remove(_ context.Context, id string, r wire.RemoveRequest) (wire.Ack, error) {
	if err := a.enter(); err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	if a.failRemove != nil {
		return wire.Ack{}, a.failRemove
	}
	c := a.containers[id]
	if c == nil || r.Generation != nil && *r.Generation != c.spec.Generation {
		return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}, nil
	}
	if c.state.Status.Running() {
		if !r.Force {
			return wire.Ack{}, model.Errorf(model.KindConflict, "container is running")
		}
		a.die(c, 137)
	}
	return a.destroy(c), nil
}

// Resize implements wire.Agent.
func (a *Agent) Resize(_ context.Context, id string, _ wire.TerminalSize) error {
	if err := a.enter(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	_, err := a.get(id)
	return err
}

// Top implements wire.Agent.
func (a *Agent) Top(_ context.Context, id string, _ string) (wire.Processes, error) {
	if err := a.enter(); err != nil {
		return wire.Processes{}, err
	}
	defer a.mu.Unlock()
	_, err := a.get(id)
	return wire.Processes{Titles: []string{"PID"}, Rows: [][]string{{"4711"}}}, err
}

// Attach implements wire.Agent: what is written comes back.
func (a *Agent) Attach(_ context.Context, id string, _ wire.AttachRequest) (wire.Stream, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	if _, err := a.get(id); err != nil {
		return nil, err
	}
	return newEcho(), nil
}

// Logs implements wire.Agent: they are empty.
func (a *Agent) Logs(_ context.Context, id string, _ wire.LogsRequest) (io.ReadCloser, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	if _, err := a.get(id); err != nil {
		return nil, err
	}
	return newEcho(), nil
}

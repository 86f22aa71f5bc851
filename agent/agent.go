package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/agent/build"
	"github.com/spearheadcloud/spearhead/agent/health"
	"github.com/spearheadcloud/spearhead/agent/logship"
	"github.com/spearheadcloud/spearhead/agent/metrics"
	"github.com/spearheadcloud/spearhead/agent/standing"
	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// housekeeping is how often the owner loop forgets what is old.
const housekeeping = 30 * time.Second

// probesAtOnce is how many health checks of the node begin at the same time.
const probesAtOnce = 8

// Agent is a node as heads see it: it implements wire.Node. It owns the tasks
// of its containers; its loop hands each end of a container to its task.
type Agent struct {
	drivers Drivers
	records *state.DB
	info    model.NodeInfo
	nodeID  string
	boot    string // of this process, by lot
	log     *slog.Logger
	etc     string // folder of the files that containers see in their /etc
	node    *task.Node
	shipper *logship.Shipper
	execs   *execs

	builders Builders // nil where no builds are carried out

	standing  *standing.Keeper // nil where nobody attends to the node
	peer      func(wire.Holder) PeerClient
	exitGrace time.Duration
	metrics   *metrics.Metrics

	exits   <-chan runtime.Exit
	changed chan struct{}           // holds one when the load may have changed
	storage atomic.Pointer[storage] // how it did last; nil before it was asked

	poolHealth func(context.Context) (metrics.Pool, error) // nil without a pool
	stop       context.CancelFunc
	loops      sync.WaitGroup // the owner loop, pulls and watchers of execs
	running    context.Context

	networks networks
	moves    *moves
	offers   *volumeOffers

	mu     sync.Mutex // guards what follows
	tasks  map[string]*task.Task
	closed bool
}

var _ wire.Node = (*Agent)(nil)

// Options are what New makes an agent of.
type Options struct {
	NodeID   string // containers that are promised to another node are refused
	StateDir string // of its records
	RunDir   string // of files that containers see in their /etc
	Drivers  Drivers
	Info     model.NodeInfo
	Logger   *slog.Logger
	// Build is what builders stand on, but for images, which are this agent's;
	// nil carries no builds out.
	Build *build.Config
	// Standing is the node's in its data center; nil is for tests: nobody
	// attends to the node then.
	Standing *standing.Keeper
	// Peer makes the client of another node's agent. It connects when it is
	// first used; nil is for an agent that has no others.
	Peer func(wire.Holder) PeerClient
	// ExitGrace is how long the runtime may take to tell of the end of a run
	// that is recorded as alive and is not; 0 is 3 seconds.
	ExitGrace time.Duration
	// Metrics counts what the agent does; nil counts nothing.
	Metrics *metrics.Metrics
	// PoolHealth asks how the pool is that the storage is made of; nil is for
	// storage without one.
	PoolHealth func(context.Context) (metrics.Pool, error)
}

// New opens the node's records and brings the node to where they say it should
// be: what runs is taken over, what ended meanwhile is recorded, what was half
// done is finished or undone, and what no record knows is removed. Nothing may
// call the agent before New returns.
func New(ctx context.Context, o Options) (*Agent, error) {
	records, err := state.Open(filepath.Join(o.StateDir, "agent.db"))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	a := &Agent{
		drivers: o.Drivers,
		records: records,
		info:    o.Info,
		boot:    model.NewID()[:16],
		nodeID:  o.NodeID,
		log:     o.Logger,
		etc:     filepath.Join(o.RunDir, "etc"),
		changed: make(chan struct{}, 1),
		stop:    stop,
		running: running,
		tasks:   make(map[string]*task.Task),
		moves:   newMoves(),
		shipper: logship.New(logship.Config{Logger: o.Logger}),

		standing:   o.Standing,
		peer:       o.Peer,
		exitGrace:  o.ExitGrace,
		metrics:    o.Metrics,
		poolHealth: o.PoolHealth,
	}
	if a.exitGrace == 0 {
		a.exitGrace = defaultExitGrace
	}
	a.node = &task.Node{
		Runtime: o.Drivers.Runtime, Images: o.Drivers.Images, Network: o.Drivers.Network,
		Volumes: o.Drivers.Volumes, Mounted: a.mounted,
		Records: records, Shipper: a.shipper, Dir: a.etc, Probes: health.NewLimit(probesAtOnce), Pid: a.pid, Changed: a.noteChange, Gone: a.gone, Logger: o.Logger,
	}
	if a.standing != nil {
		a.node.May = a.standing.May
	}
	a.execs = newExecs(a)
	if a.offers, err = openOffers(records); err != nil {
		a.Close()
		return nil, err
	}
	if err := a.openNetworks(ctx, filepath.Join(o.StateDir, "networks.json")); err != nil {
		a.Close()
		return nil, err
	}
	if err := a.reconcile(ctx); err != nil {
		a.Close()
		return nil, fmt.Errorf("cannot take over what the node runs: %w", err)
	}
	if err := a.openBuilders(ctx, o.Build); err != nil {
		a.Close()
		return nil, err
	}
	a.loops.Go(a.own)
	if a.standing != nil {
		a.loops.Go(func() { a.standing.Watch(a.running, fenced{a}) })
	}
	a.loops.Go(a.collect)
	return a, nil
}

// Close ends the agent's own work and waits for it. Containers run on.
func (a *Agent) Close() error {
	a.mu.Lock()
	a.closed = true
	tasks := make([]*task.Task, 0, len(a.tasks))
	for _, t := range a.tasks {
		tasks = append(tasks, t)
	}
	a.mu.Unlock()
	a.stop()
	for _, t := range tasks {
		t.Close()
	}
	if a.builders != nil {
		a.builders.Close()
	}
	a.loops.Wait()
	a.shipper.Close()
	return a.records.Close()
}

// own is the owner loop.
func (a *Agent) own() {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case e, open := <-a.exits:
			if !open {
				a.exits = nil
				if a.running.Err() == nil {
					a.log.Error("the runtime tells of no more exits; restart the agent", "op", "exit")
				}
				continue
			}
			a.exited(e)
		case <-tick.C:
			a.execs.forgetOld(time.Now())
		case <-a.running.Done():
			return
		}
	}
}

// exited hands the end of a run to the container's task. One that nobody
// knows is acknowledged, so that it is not told again.
func (a *Agent) exited(e runtime.Exit) {
	if t := a.find(e.ID); t != nil {
		t.Exited(e)
		return
	}
	if err := a.drivers.Runtime.AckExit(a.running, e.ID, e.Run); err != nil {
		a.log.Warn("cannot acknowledge an exit", "op", "exit", "container", e.ID, "err", err)
	}
}

// find returns the task of a container, or nil.
func (a *Agent) find(id string) *task.Task {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tasks[id]
}

// get returns the task of a container, or KindNotFound.
func (a *Agent) get(id string) (*task.Task, error) {
	if t := a.find(id); t != nil {
		return t, nil
	}
	return nil, task.NotFound(id)
}

// getOrNew returns the task of a container, which is made if there is none.
func (a *Agent) getOrNew(id string) (*task.Task, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, model.Errorf(model.KindUnavailable, "the node is shutting down; try again when it is back")
	}
	t := a.tasks[id]
	if t == nil {
		t = task.New(a.node, id)
		a.tasks[id] = t
	}
	return t, nil
}

// gone forgets a task whose container is no more.
func (a *Agent) gone(t *task.Task) {
	a.mu.Lock()
	if a.tasks[t.ID()] == t {
		delete(a.tasks, t.ID())
	}
	a.mu.Unlock()
	a.noteChange()
}

// snapshots returns all containers.
func (a *Agent) snapshots() []task.Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]task.Snapshot, 0, len(a.tasks))
	for _, t := range a.tasks {
		if s := t.Snapshot(); s.Phase != "" {
			all = append(all, s)
		}
	}
	return all
}

// pid returns the first process of a running container.
func (a *Agent) pid(id string) (int, error) {
	s, err := a.runningSnapshot(id)
	return s.State.Pid, err
}

func (a *Agent) runningSnapshot(id string) (task.Snapshot, error) {
	t, err := a.get(id)
	if err != nil {
		return task.Snapshot{}, err
	}
	s := t.Snapshot()
	if s.Phase != state.PhaseRunning {
		return s, model.Errorf(model.KindConflict, "container %s is not running", id)
	}
	return s, nil
}

// noteChange wakes who tells of the load.
func (a *Agent) noteChange() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

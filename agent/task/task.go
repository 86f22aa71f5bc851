package task

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// stepLimit bounds what a driver may take for one step; a driver that hangs
// then fails the step, which is undone.
const stepLimit = 2 * time.Minute

// retryPause is how long a task waits before it tries again what must be
// done in the end: to record an end, to finish a removal.
const retryPause = 2 * time.Second

// Task is one container on this node. Its methods may be called by many
// goroutines at once.
type Task struct {
	node *Node
	id   string
	log  *slog.Logger

	commands  chan func()
	exits     chan runtime.Exit
	closing   context.Context
	close     context.CancelFunc
	done      chan struct{}
	published atomic.Pointer[Snapshot]
	healthNow atomic.Pointer[model.Health] // with its log, newer than the record's
	findings  chan finding
	probes    sync.WaitGroup // watches that have not ended
	root      rootUse

	// What follows belongs to the task's goroutine; removed may also be read
	// once done is closed.
	request    *wire.CreateRequest // replaced as a whole, never changed
	status     state.Status
	ending     *ending       // set while somebody waits for the end
	unrecorded *runtime.Exit // an end that could not be written down yet
	leftovers  bool          // a run, living or ended, may hold what release gives back
	unthawed   bool          // processes may be frozen that should not be
	watch      *watch        // the health check that is under way
	timer      *time.Timer   // what it means depends on the above: wake
	removed    bool
	rootMade   bool // of a container that comes: this agent has made its root, or found it
}

// Snapshot is a container as its task last recorded it.
type Snapshot struct {
	ID        string
	AccountID string
	Account   string // its login
	Name      string // when it was created
	Created   time.Time
	// Generation is which of the container's places this one is.
	Generation int
	Spec       *model.ContainerSpec // is not changed: an update replaces it
	Phase      state.Phase
	Departing  bool // it is to be another node's, and does not run
	OfferedTo  string
	Run        string
	State      model.ContainerState
}

// New starts the task of a container that does not exist yet.
func New(node *Node, id string) *Task {
	t := newTask(node, id)
	go t.run(func() {})
	return t
}

// Recover starts the task of a container that an earlier process recorded.
// alive is its process, if it has one; exit is the end of its newest run, if
// that is known and was not acknowledged.
func Recover(node *Node, r state.Record, alive *runtime.Process, exit *runtime.Exit) *Task {
	t := newTask(node, r.Request.Container.ID)
	t.request, t.status = &r.Request, r.Status
	t.leftovers = true // the last process may have died before it released them
	if t.status.State.Health == nil {
		t.status.State.Health = t.newHealth()
	}
	t.healthNow.Store(t.status.State.Health)
	t.publish()
	go t.run(func() { t.recover(alive, exit) })
	return t
}

func newTask(node *Node, id string) *Task {
	closing, cancel := context.WithCancel(context.Background())
	t := &Task{
		node:     node,
		id:       id,
		request:  new(wire.CreateRequest),
		log:      node.Logger.With("container", id),
		commands: make(chan func()),
		exits:    make(chan runtime.Exit, 8), // more than one run's end never waits for long
		findings: make(chan finding),
		closing:  closing,
		close:    cancel,
		done:     make(chan struct{}),
		timer:    time.NewTimer(time.Hour),
	}
	t.timer.Stop()
	t.publish()
	return t
}

// run is the task's goroutine.
func (t *Task) run(first func()) {
	defer close(t.done)
	defer t.probes.Wait()
	defer t.close()
	defer t.timer.Stop()
	first()
	for !t.removed {
		select {
		case f := <-t.commands:
			f()
		case e := <-t.exits:
			t.ended(e)
		case f := <-t.findings:
			t.found(f)
		case <-t.timer.C:
			t.wake()
		case <-t.closing.Done():
			return
		}
	}
	t.node.Gone(t)
}

// wake does what the timer was set for.
func (t *Task) wake() {
	switch {
	case t.unrecorded != nil:
		t.ended(*t.unrecorded)
	case t.status.Phase == state.PhaseWaiting:
		if _, err := t.start(true); err != nil {
			t.log.Warn("cannot restart container", "op", "restart", "err", err)
		}
	case t.status.Phase == state.PhaseRemoving:
		if _, err := t.remove(); err != nil {
			t.log.Warn("cannot remove container", "op", "remove", "err", err)
		}
	case t.ending != nil:
		t.escalate()
	case t.unthawed:
		t.thaw()
	case t.leftovers && t.status.Phase == state.PhaseIdle:
		t.cleanUp("wake")
	}
}

// Close ends the task's goroutine, and not the container, and waits for it. A
// command that is being carried out is carried to its end.
func (t *Task) Close() {
	t.close()
	<-t.done
}

// ID is the container's id.
func (t *Task) ID() string { return t.id }

// Snapshot is the container as it was last recorded.
func (t *Task) Snapshot() Snapshot { return *t.published.Load() }

// Settle waits until the task has done what it was busy with.
func (t *Task) Settle(ctx context.Context) error {
	_, err := t.call(ctx, func(reply answer) { reply(wire.Ack{}, nil) })
	return err
}

// Exited tells the task of the end of a run; ends that it knows of already are
// only acknowledged.
func (t *Task) Exited(e runtime.Exit) {
	select {
	case t.exits <- e:
	case <-t.done:
	}
}

// answer takes the outcome of a command, once.
type answer func(wire.Ack, error)

type outcome struct {
	ack wire.Ack
	err error
}

// call has the task's goroutine carry out f and waits until f has answered.
func (t *Task) call(ctx context.Context, f func(answer)) (wire.Ack, error) {
	out := make(chan outcome, 1)
	reply := func(ack wire.Ack, err error) { out <- outcome{ack, err} }
	select {
	case t.commands <- func() { f(reply) }:
	case <-t.done:
		return wire.Ack{}, t.over()
	case <-ctx.Done():
		return wire.Ack{}, ctx.Err()
	}
	select {
	case o := <-out:
		return o.ack, o.err
	case <-ctx.Done():
		return wire.Ack{}, ctx.Err()
	case <-t.done:
		select {
		case o := <-out: // answered with its last breath
			return o.ack, o.err
		default:
			return wire.Ack{}, t.over()
		}
	}
}

// errOver is the cause of the error about a container whose task ended before
// it came to the command.
var errOver = errors.New("the task is over")

// IsOver tells whether a command came too late for its task: the task carried
// nothing of it out, and the container's next task may.
func IsOver(err error) bool { return errors.Is(err, errOver) }

// over says why a task takes no more commands.
func (t *Task) over() error {
	if t.removed {
		return model.WrapError(model.KindNotFound, errOver, "No such container: %s", t.id)
	}
	return model.Errorf(model.KindUnavailable, "the node is shutting down; try again when it is back")
}

// NotFound is the error about a container that this node does not have.
func NotFound(id string) error {
	return model.Errorf(model.KindNotFound, "No such container: %s", id)
}

// step returns a context for one step of work: not the caller's, because work
// that was begun is carried to its end.
func (t *Task) step() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), stepLimit)
}

// record writes next down together with entries and makes it the status. When
// that fails the status stays as it was.
func (t *Task) record(next state.Status, entries ...model.JournalEntry) (wire.Ack, error) {
	return t.commit(state.Change{Status: &next, Entries: entries}, next)
}

func (t *Task) commit(c state.Change, next state.Status) (wire.Ack, error) {
	ctx, cancel := t.step()
	defer cancel()
	c.Container = t.id
	ack, err := t.node.Records.Commit(ctx, c)
	if err != nil {
		return ack, err
	}
	t.become(next)
	return ack, nil
}

// recordWhile writes next down while f, which a crash at any moment may cut
// short without harm, is already at work. Both have ended when it returns.
func (t *Task) recordWhile(c state.Change, next state.Status, f func() error) (ack wire.Ack, recorded, done error) {
	ctx, cancel := t.step()
	defer cancel()
	c.Container, c.Status = t.id, &next
	var writing sync.WaitGroup
	writing.Go(func() { ack, recorded = t.node.Records.Commit(ctx, c) })
	done = f()
	writing.Wait()
	if recorded == nil {
		t.become(next)
	}
	return ack, recorded, done
}

func (t *Task) become(next state.Status) {
	t.status = next
	t.publish()
}

func (t *Task) publish() {
	c := &t.request.Container
	t.published.Store(&Snapshot{
		ID: t.id, AccountID: c.AccountID, Account: t.request.Account.Login, Name: c.Name, Created: c.Created, Generation: c.Generation, Spec: &c.Spec,
		Phase: t.status.Phase, Departing: t.status.Departing, OfferedTo: t.status.OfferedTo, Run: t.status.Run, State: t.status.State,
	})
}

// entry is a journal entry about this container. A status that an entry
// carries is the one after it.
func (t *Task) entry(action string, s *model.ContainerState, attributes ...string) model.JournalEntry {
	e := model.JournalEntry{Time: time.Now(), ContainerID: t.id, Action: action}
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
	return e
}

func (t *Task) spec() *model.ContainerSpec { return &t.request.Container.Spec }

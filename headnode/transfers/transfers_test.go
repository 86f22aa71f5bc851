package transfers_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/nodes/nodestest"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// center is a data center of two nodes that know each other.
type center struct {
	*headtest.Center
	t       *testing.T
	account model.Account
}

func newCenter(t *testing.T, change ...func(*model.NodeInfo)) *center {
	t.Helper()
	c := &center{Center: headtest.New(t, 0), t: t}
	for _, name := range []string{"node-1", "node-2"} {
		c.AddNode(name, change...)
	}
	for _, n := range c.Store.View().Nodes() {
		for _, name := range []string{"node-1", "node-2"} {
			if n.Name != name {
				c.Agent(name).Meet(n.ID, c.Agent(n.Name))
			}
		}
	}
	c.account = c.Account("jill", model.PolicyTenant)
	if _, err := c.Images.Pull(headtest.Context(t), c.account, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	return c
}

// run makes a container that runs and has written something.
func (c *center) run(name string) string { return c.runAs(name, model.ContainerSpec{Network: "none"}) }

func (c *center) runAs(name string, spec model.ContainerSpec) string {
	c.t.Helper()
	ctx := headtest.Context(c.t)
	spec.Image = "busybox"
	made, _, err := c.Containers.Create(ctx, c.account, model.CreateContainer{Name: name, Spec: spec})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Containers.Start(ctx, c.account, made.ID); err != nil {
		c.t.Fatal(err)
	}
	c.at(made.NodeID).Write(made.ID, "what "+name+" wrote")
	return made.ID
}

// at is the node with that id, and other the one that is not.
func (c *center) at(nodeID string) *nodestest.Agent {
	n, _ := c.Store.View().Node(nodeID)
	return c.Agent(n.Name)
}

func (c *center) other(nodeID string) string {
	for _, n := range c.Store.View().Nodes() {
		if n.ID != nodeID {
			return n.ID
		}
	}
	return ""
}

func (c *center) container(id string) model.Container {
	found, _ := c.Store.View().Container(id)
	return found
}

// proposer is a leader's way to the state, in which every proposal may be its last.
type proposer struct {
	*center
	act func(what string, do func())
}

func (p proposer) Propose(ctx context.Context, cmd command.Command) (result raftstore.Result, err error) {
	p.act(fmt.Sprintf("%T", cmd), func() { result, err = p.Store.Propose(ctx, cmd) })
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	return result, err
}

// lead runs the leader's loop, until the returned function ends it. act is given
// each proposal to make; nil makes them all.
func (c *center) lead(act func(what string, do func())) (s *transfers.Service, stop func()) {
	if act == nil {
		act = func(_ string, do func()) { do() }
	}
	s = transfers.New(transfers.Config{
		Store: c.Store, Decisions: proposer{c, act}, Agent: c.Nodes.Agent, Connected: c.Nodes.Connected, Containers: c.Containers,
		Logger: slog.New(slog.DiscardHandler), Patience: 200 * time.Millisecond, RetryAfter: 5 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	c.t.Cleanup(stop)
	return s, stop
}

func (c *center) ask(id string) {
	c.t.Helper()
	c.Propose(command.AskGroupTransfer{ID: id, Operation: model.NewID(), Time: time.Now().UTC()})
}

func (c *center) settled(id string) {
	c.t.Helper()
	c.Until("the move is over and tidied up", func() bool { return c.isSettled(id) })
}

func (c *center) isSettled(id string) bool {
	now := c.container(id)
	return now.Transfer == nil && now.Move == nil && now.Former == nil
}

// checkOne checks that the container runs on its node with what it wrote, and
// that the other node has nothing of it.
func (c *center) checkOne(id, name string) {
	c.t.Helper()
	now := c.container(id)
	if here := c.at(now.NodeID); !here.Runs(id) || here.Content(id) != "what "+name+" wrote" {
		c.t.Errorf("%s: on %s it runs: %t, and it holds %q", name, now.NodeID, here.Runs(id), here.Content(id))
	}
	if c.at(c.other(now.NodeID)).Has(id) {
		c.t.Errorf("%s: the other node has a copy", name)
	}
	c.Until("the state says that it runs", func() bool { return c.container(id).State.Status.Running() })
}

func TestAContainerMoves(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	s, _ := c.lead(nil)
	id := c.run("web")
	from := c.container(id).NodeID
	var steps []string
	err := s.Move(headtest.Context(t), id, "", 0, func(p transfers.Progress) { steps = append(steps, p.Step) })
	if err != nil || len(steps) == 0 || steps[len(steps)-1] != "done" {
		t.Fatalf("the move ended with %v after %v", err, steps)
	}
	c.settled(id)
	if now := c.container(id); now.NodeID == from || now.Generation != 1 {
		t.Errorf("after its move the container is %+v", now)
	}
	c.checkOne(id, "web")
	if err := s.Move(headtest.Context(t), id, c.container(id).NodeID, 0, func(transfers.Progress) {}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a move to where it is: %v", err)
	}
	if err := s.Move(headtest.Context(t), id, from, 0, func(transfers.Progress) {}); err != nil {
		t.Errorf("back: %v", err)
	}
	c.settled(id)
	c.checkOne(id, "web")
}

// The leader ends before and after each single thing that it does; the next one
// goes on, and there is one container in the end.
func TestTheLeaderMayDieAtAnyStep(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	for last := 0; ; last++ {
		name := fmt.Sprint("web", last)
		id := c.run(name)
		if !c.killedAt(last, id) {
			break
		}
		c.checkOne(id, name)
	}
}

// killedAt moves the containers, which go together, under a leader that ends at
// its thing number last.
func (c *center) killedAt(last int, ids ...string) (killed bool) {
	return c.dies(last, func() { c.ask(ids[0]) }, func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return !c.isSettled(id) })
	})
}

// dies has something moved under a leader that ends at its thing number last:
// before it if that is even, and after it if it is odd; and then under another
// leader. It reports whether that was before all was settled.
func (c *center) dies(last int, ask func(), settled func() bool) (killed bool) {
	var mu sync.Mutex
	things := 0
	dies := make(chan struct{})
	act := func(_ string, do func()) {
		mu.Lock()
		mine := things
		things++
		mu.Unlock()
		switch {
		case mine < last/2:
			do()
		case mine == last/2:
			if last%2 == 1 {
				do()
			}
			close(dies)
		}
	}
	c.fail(func(call string) (err error) {
		err = model.Errorf(model.KindUnavailable, "the caller is gone")
		act(call, func() { err = nil })
		return err
	})
	_, stop := c.lead(act)
	ask()
	c.Until("the leader has died, or all is done", func() bool {
		select {
		case <-dies:
			killed = true
		default:
		}
		return killed || settled()
	})
	stop()
	c.fail(nil)
	_, end := c.lead(nil)
	c.Until("the next leader has gone on", settled)
	end()
	return killed
}

// A node that refuses a step keeps the container where it was.
func TestAStepThatIsRefusedIsUndone(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"offer", "fetch", "depart"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			c := newCenter(t)
			s, _ := c.lead(nil)
			id := c.run("web")
			from := c.container(id).NodeID
			for _, node := range []string{"node-1", "node-2"} {
				c.Agent(node).FailMove(func(called string) error {
					if called == call {
						return model.Errorf(model.KindExhausted, "no space left on the node's storage")
					}
					return nil
				})
			}
			err := s.Move(headtest.Context(t), id, "", 0, func(transfers.Progress) {})
			if !model.IsKind(err, model.KindConflict) || model.UserText(err) != "the container stays where it was: no space left on the node's storage" {
				t.Errorf("the move ended with %v", err)
			}
			c.settled(id)
			if now := c.container(id); now.NodeID != from {
				t.Errorf("it is on %s", now.NodeID)
			}
			c.checkOne(id, "web")
		})
	}
}

// A node that does not answer is waited for, but not for ever.
func TestANodeThatIsAway(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	s, _ := c.lead(nil)
	id := c.run("web")
	from := c.container(id).NodeID
	to := c.other(from)
	tries := 0
	c.at(to).FailMove(func(call string) error {
		if tries++; call == "fetch" && tries < 4 {
			return model.Errorf(model.KindUnavailable, "it is being started again")
		}
		return nil
	})
	if err := s.Move(headtest.Context(t), id, "", 0, func(transfers.Progress) {}); err != nil {
		t.Errorf("over a node that was away for a moment: %v", err)
	}
	c.settled(id)
	c.checkOne(id, "web")

	from, to = to, from
	c.at(to).FailMove(func(call string) error {
		if call == "fetch" {
			return model.Errorf(model.KindUnavailable, "it is gone")
		}
		return nil
	})
	if err := s.Move(headtest.Context(t), id, to, 0, func(transfers.Progress) {}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("to a node that is gone: %v", err)
	}
	c.settled(id)
	if now := c.container(id); now.NodeID != from {
		t.Errorf("it is on %s", now.NodeID)
	}
	c.checkOne(id, "web")
}

// A node that a container has just left can have it back: what is left there goes
// first.
func TestBackToWhereAnOldCopyIs(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	s, stop := c.lead(nil)
	id := c.run("web")
	from := c.container(id).NodeID
	c.at(from).FailRemove(model.Errorf(model.KindUnavailable, "it is being started again"))
	if err := s.Move(headtest.Context(t), id, "", 0, func(transfers.Progress) {}); err != nil {
		t.Fatal(err)
	}
	stop()
	c.Propose(command.AskGroupTransfer{ID: id, Operation: "back", Time: time.Now().UTC()})
	if err := c.Containers.PlaceTransfer(headtest.Context(t), id); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("while the old copy is there: %v", err)
	}
	c.at(from).FailRemove(nil)
	c.lead(nil)
	c.settled(id)
	if now := c.container(id); now.NodeID != from || now.LastTransfer.Failure != "" {
		t.Errorf("the container is %+v", now)
	}
	c.checkOne(id, "web")
}

// What is asked of a container while it crosses waits until it is there; a
// removal is refused before that.
func TestRequestsMeanwhile(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	id := c.run("web")
	c.Propose(command.AskGroupTransfer{ID: id, Operation: "way", Time: time.Now().UTC()})
	err := c.Containers.Remove(headtest.Context(t), c.account, id, wire.RemoveRequest{Force: true})
	if !model.IsKind(err, model.KindConflict) {
		t.Errorf("a removal meanwhile: %v", err)
	}
	if err := c.Containers.PlaceTransfer(headtest.Context(t), id); err != nil {
		t.Fatal(err)
	}
	c.Propose(command.StepTransfer{ID: id, Operation: "way", Step: model.TransferStopping})
	stopped := make(chan error, 1)
	ctx := headtest.Context(t)
	go func() { stopped <- c.Containers.Stop(ctx, c.account, id, wire.StopRequest{}) }()
	c.lead(nil)
	if err := <-stopped; err != nil {
		t.Errorf("a stop meanwhile: %v", err)
	}
	c.settled(id)
	if now := c.container(id); now.Generation != 1 || c.at(now.NodeID).Runs(id) {
		t.Errorf("the container is %+v", now)
	}
}

package attend_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/attend"
	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	stopAfter = 200 * time.Millisecond
	margin    = 100 * time.Millisecond
)

// center is a data center whose leader attends to its nodes, which stop what
// may run elsewhere soon.
type center struct {
	*headtest.Center
	t       *testing.T
	account model.Account
	ca      *pki.CA
}

func newCenter(t *testing.T, nodes ...string) *center {
	t.Helper()
	c := &center{Center: headtest.New(t, 0), t: t}
	for _, name := range nodes {
		agent := c.AddNode(name, func(i *model.NodeInfo) { i.StopAfter = stopAfter })
		agent.StopAfter(stopAfter)
	}
	c.account = c.Account("jill", model.PolicyTenant)
	var err error
	if c.ca, err = pki.CreateCA("dc", time.Now()); err != nil {
		t.Fatal(err)
	}
	return c
}

// attendTo runs the leader's loop until the test or the returned function ends
// it.
func (c *center) attendTo() (stop func()) {
	a := attend.New(attend.Config{
		Store: c.Store, Agent: c.Nodes.Agent, Containers: c.Containers, CA: c.ca, Logger: slog.New(slog.DiscardHandler),
		Interval: 20 * time.Millisecond, Margin: margin,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	c.t.Cleanup(stop)
	return stop
}

// run makes a container that runs, with those labels, and tells its node.
func (c *center) run(name string, labels map[string]string) (id, node string) {
	c.t.Helper()
	ctx := headtest.Context(c.t)
	if _, err := c.Images.Pull(ctx, c.account, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		c.t.Fatal(err)
	}
	made, _, err := c.Containers.Create(ctx, c.account, model.CreateContainer{Name: name, Spec: model.ContainerSpec{Image: "busybox", Labels: labels}})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Containers.Start(ctx, c.account, made.ID); err != nil {
		c.t.Fatal(err)
	}
	c.Until(name+" runs", func() bool { return c.container(made.ID).State.Status.Running() })
	return made.ID, c.name(made.NodeID)
}

func (c *center) name(nodeID string) string {
	n, _ := c.Store.View().Node(nodeID)
	return n.Name
}

func (c *center) container(id string) model.Container {
	found, _ := c.Store.View().Container(id)
	return found
}

func (c *center) change(node string, change model.NodeChange) {
	c.t.Helper()
	n, _ := c.Store.View().NodeByName(node)
	c.Propose(command.ChangeNode{ID: n.ID, Change: change})
}

var movable = map[string]string{model.LabelReschedule: "true"}

func TestANodeThatAnswersGetsItsLease(t *testing.T) {
	t.Parallel()
	c := newCenter(t, "node-1")
	c.attendTo()
	c.Until("the lease is renewed several times", func() bool { return c.Agent("node-1").Granted() > 5 })
}

func TestContainersOfANodeThatIsCutOffGoToAnother(t *testing.T) {
	t.Parallel()
	c := newCenter(t, "node-1", "node-2")
	c.attendTo()
	moves, from := c.run("moves", movable)
	stays, stayed := c.run("stays", nil)
	address := c.container(moves).NICs[0].Address
	for _, name := range []string{from, stayed} {
		c.Agent(name).Cut(true)
	}
	if from != stayed { // both must be on the node that is gone for the test to say something of both
		c.Agent(stayed).Cut(false)
	}
	c.Until("it runs on another node", func() bool {
		now := c.container(moves)
		return c.name(now.NodeID) != from && now.State.Status.Running() && now.Move == nil
	})
	now := c.container(moves)
	if now.Generation != 1 || now.Name != "moves" || now.NICs[0].Address != address {
		t.Errorf("it is %+v", now)
	}
	if c.name(c.container(stays).NodeID) != stayed {
		t.Error("a container moved whose owner did not ask for it")
	}
	granted := c.Agent(from).Granted()
	c.Agent(from).Cut(false)
	c.Until("the node that is back has lost it, and has a lease again", func() bool {
		return !c.Agent(from).Has(moves) && c.Agent(from).Granted() > granted
	})
	if !c.Agent(c.name(now.NodeID)).Has(moves) {
		t.Error("it is gone from its new node")
	}
}

func TestNoLeaseBeforeWhatMovedIsGone(t *testing.T) {
	t.Parallel()
	c := newCenter(t, "node-1", "node-2")
	stop := c.attendTo()
	id, from := c.run("moves", movable)
	c.Agent(from).Cut(true)
	c.Until("it is another's", func() bool { return c.name(c.container(id).NodeID) != from })
	stop()
	// A leader that knows nothing of the node finds it holding what moved.
	c.Agent(from).FailRemove(model.Errorf(model.KindUnavailable, "not now"))
	before := c.Agent(from).Granted()
	c.Agent(from).Cut(false)
	c.Connected(from)
	c.attendTo()
	asked := c.Agent(from).Attended()
	c.Until("the node was attended to some times", func() bool { return c.Agent(from).Attended() > asked+10 })
	if got := c.Agent(from).Granted(); got != before {
		t.Error("it got a lease while it held what is another's")
	}
	c.Agent(from).FailRemove(nil)
	c.Until("it has a lease", func() bool { return c.Agent(from).Granted() > before })
	if c.Agent(from).Has(id) {
		t.Error("it got a lease with what is another's")
	}
}

func TestALostNodesContainersAreDeadOrElsewhere(t *testing.T) {
	t.Parallel()
	c := newCenter(t, "node-1", "node-2")
	c.attendTo()
	moves, from := c.run("moves", movable)
	no := true
	for _, name := range []string{"node-1", "node-2"} {
		if name != from {
			c.change(name, model.NodeChange{Cordoned: &no})
		}
	}
	stays, _ := c.run("stays", nil)
	dead, _ := c.run("dead", nil)
	no = false
	for _, name := range []string{"node-1", "node-2"} {
		c.change(name, model.NodeChange{Cordoned: &no})
	}
	yes := true
	c.Agent(from).Cut(true)
	c.change(from, model.NodeChange{Lost: &yes, Cordoned: &yes})
	c.Until("one runs elsewhere, the other is dead", func() bool {
		return c.name(c.container(moves).NodeID) != from && c.container(moves).State.Status.Running() &&
			c.container(stays).State.Status == model.StatusDead && c.container(dead).State.Status == model.StatusDead
	})
	if err := c.Containers.Remove(headtest.Context(t), c.account, "dead", wire.RemoveRequest{}); err != nil {
		t.Errorf("a dead container of a lost node cannot be removed: %v", err)
	}
	before := c.Agent(from).Granted()
	c.Agent(from).Cut(false)
	c.Until("the container that stayed is found again", func() bool { return c.container(stays).State.Status.Running() })
	c.Until("what moved is gone from it", func() bool { return !c.Agent(from).Has(moves) })
	if c.Agent(from).Granted() != before {
		t.Error("a lost node got a lease")
	}
}

func TestAContainerThatCannotMoveStays(t *testing.T) {
	t.Parallel()
	c := newCenter(t, "node-1")
	c.attendTo()
	id, _ := c.run("alone", movable)
	c.Agent("node-1").Cut(true)
	c.AddNode("small", func(i *model.NodeInfo) { i.Capacity = model.Resources{} })
	c.Until("the leader has tried", func() bool { return c.Agent("small").Granted() > 20 })
	if got := c.container(id); c.name(got.NodeID) != "node-1" || got.Generation != 0 {
		t.Errorf("it is %+v", got)
	}
	granted := c.Agent("node-1").Granted()
	c.Agent("node-1").Cut(false)
	c.Until("the node goes on with it", func() bool { return c.Agent("node-1").Granted() > granted })
	if !c.Agent("node-1").Has(id) {
		t.Error("it was removed from its node")
	}
}

func TestNodesAreToldWhatIsNew(t *testing.T) {
	t.Parallel()
	c := newCenter(t, "node-1", "node-2")
	c.attendTo()
	gone, _ := c.Store.View().NodeByName("node-2")
	c.Propose(command.RemoveNode{ID: gone.ID})
	c.Propose(command.RemoveHead{ID: "head-9"})
	c.Propose(command.SetKeyring{Keys: [][]byte{bytes.Repeat([]byte{1}, 32)}})
	agent := c.Agent("node-1")
	_, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	agent.AskRenewal(csr)
	c.Until("it knows", func() bool {
		told := agent.Told()
		return told.Gone != nil && slices.Equal(told.Gone.Heads, []string{"head-9"}) && slices.Equal(told.Gone.Nodes, []string{gone.ID}) &&
			told.Keyring != nil && told.Keyring.Version == 1 && told.Certificate != nil
	})
}

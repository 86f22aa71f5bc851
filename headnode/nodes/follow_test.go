package nodes_test

import (
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

func container(t *testing.T, c *headtest.Center, a model.Account) model.Container {
	t.Helper()
	ctx := headtest.Context(t)
	if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox"}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLongJournalIsCommittedOnceAndAcknowledged(t *testing.T) {
	t.Parallel()
	const cycles = 3000
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	m := container(t, c, a)
	agent, ctx := c.Agent("node-1"), headtest.Context(t)
	var last wire.Ack
	for range cycles {
		if _, err := agent.Start(ctx, m.ID); err != nil {
			t.Fatal(err)
		}
		var err error
		if last, err = agent.Kill(ctx, m.ID, wire.KillRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	c.Until("all is committed", func() bool {
		n, _ := c.Store.View().Node(m.NodeID)
		return n.JournalSeq == last.Seq
	})
	c.Until("the node may forget some of it", func() bool { return agent.Acknowledged() > 0 })
	n, _ := c.Store.View().Node(m.NodeID)
	if agent.Acknowledged() > n.JournalSeq {
		t.Errorf("acknowledged %d, committed %d", agent.Acknowledged(), n.JournalSeq)
	}
}

func TestHeadRestartLosesNoEntry(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	m := container(t, c, c.Account("jill", model.PolicyTenant))
	agent, ctx := c.Agent("node-1"), headtest.Context(t)
	for range 3 {
		if _, err := agent.Start(ctx, m.ID); err != nil {
			t.Fatal(err)
		}
		c.Restart()
		agent.Exit(m.ID, 7) // perhaps while nobody follows
	}
	c.Until("the last exit is known", func() bool {
		got, _ := c.Store.View().Container(m.ID)
		return got.State.Status == model.StatusExited && got.State.ExitCode == 7
	})
	dies := 0
	for _, e := range c.Store.View().Events(0, 0) {
		if e.ActorID == m.ID && e.Action == "die" {
			dies++
		}
	}
	if dies != 3 {
		t.Errorf("%d exits were recorded, want 3", dies)
	}
}

func TestNodeMovesToAnotherAddress(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	m := container(t, c, a)
	n, _ := c.Store.View().Node(m.NodeID)
	n.Address = "elsewhere:1"
	c.Propose(command.PutNode{Node: n})
	c.Until("the node is followed at its new address", func() bool {
		return c.Containers.Start(headtest.Context(t), a, m.ID) == nil
	})
}

func TestUnknownNodeIsUnreachable(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	_, err := c.Nodes.Agent(model.NewID()).Start(headtest.Context(t), model.NewID())
	if !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("error %v", err)
	}
}

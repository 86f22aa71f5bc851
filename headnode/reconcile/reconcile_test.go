package reconcile_test

import (
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// reserve commits a reservation that nobody works on, as a head leaves it that
// dies right after its raft entry.
func reserve(t *testing.T, c *headtest.Center, a model.Account) model.Container {
	t.Helper()
	node := c.Store.View().Nodes()[0]
	r := model.Container{
		ID: model.NewID(), Name: "web", AccountID: a.ID, NodeID: node.ID, Phase: model.PhaseReserved,
		Operation: model.NewID(), Created: time.Now().UTC(), State: model.ContainerState{Status: model.StatusCreated},
	}
	c.Propose(command.ReserveContainer{Container: r})
	return r
}

func gone(c *headtest.Center, id string) func() bool {
	return func() bool {
		_, there := c.Store.View().Container(id)
		return !there
	}
}

func TestHeadDiesBetweenReserveAndCreate(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	r := reserve(t, c, c.Account("jill", model.PolicyTenant))
	c.Restart()
	c.Until("the reservation is released", gone(c, r.ID))
}

func TestHeadDiesBetweenCreateAndAnswer(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	r := reserve(t, c, c.Account("jill", model.PolicyTenant))
	node := c.Store.View().Nodes()[0]
	// The node has made it, but its journal has not said so: it died, too.
	c.Agent("node-1").Put(r)
	c.Restart()
	c.Until("the reservation is released", gone(c, r.ID))
	if c.Agent("node-1").Has(r.ID) {
		t.Errorf("node %s still has the container", node.ID)
	}
}

func TestHeadDiesAfterCreateIsJournaled(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	ctx := headtest.Context(t)
	if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	r := reserve(t, c, a)
	if _, err := c.Agent("node-1").Create(ctx, wire.CreateRequest{Container: r}); err != nil {
		t.Fatal(err)
	}
	c.Restart()
	c.Until("the container is adopted", func() bool {
		got, ok := c.Store.View().Container(r.ID)
		return ok && got.Phase == model.PhaseCreated
	})
	c.Connected("node-1")
	if !c.Agent("node-1").Has(r.ID) {
		t.Error("the adopted container was removed from its node")
	}
	if err := c.Containers.Start(ctx, a, r.ID); err != nil {
		t.Error(err)
	}
}

func TestOrphans(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	never, runs := model.NewID(), model.NewID()
	c.Agent("node-1").Put(model.Container{ID: never, State: model.ContainerState{Status: model.StatusCreated}})
	c.Agent("node-1").Put(model.Container{ID: runs, State: model.ContainerState{Status: model.StatusRunning}})
	node := c.Store.View().Nodes()[0].ID
	c.Restart()
	c.Until("the running orphan is reported", func() bool {
		found := c.Reconciler.Findings(node).Orphans
		return len(found) == 1 && found[0] == runs
	})
	if c.Agent("node-1").Has(never) {
		t.Error("what never ran is still there")
	}
	if !c.Agent("node-1").Has(runs) {
		t.Error("a running container was removed without an operator's word")
	}
}

func TestNodeForgetsImageThatNobodyKnows(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	stray := headtest.Image("stray")
	c.Agent("node-1").Publish("docker.io/library/stray:latest", stray)
	if _, err := c.Agent("node-1").PullImage(ctx, wire.PullRequest{Ref: "docker.io/library/stray:latest"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	c.Restart()
	c.Until("only the known image is left", func() bool {
		held, err := c.Agent("node-1").Images(ctx)
		return err == nil && len(held) == 1 && held[0] == headtest.Image("busybox").ID
	})
}

func TestLostDiskIsReportedAndTheNodeGoesOn(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	create := func() model.Container {
		t.Helper()
		if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
			t.Fatal(err)
		}
		m, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox"}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	lost := create()
	agent := c.Agent("node-1")
	agent.Cut(true)
	c.Until("the node is lost", func() bool { return !c.Nodes.Connected(lost.NodeID) })
	agent.Wipe()
	agent.Cut(false)
	c.Until("the loss is reported", func() bool {
		missing := c.Reconciler.Findings(lost.NodeID).Missing
		return len(missing) == 1 && missing[0] == lost.ID
	})
	if m := create(); m.Phase != model.PhaseCreated { // by the new epoch's first entry
		t.Errorf("phase %s", m.Phase)
	}
}

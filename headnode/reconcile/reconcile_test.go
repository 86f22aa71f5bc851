package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// reserve commits a reservation that nobody works on, as a head leaves it that
// dies right after its raft entry. before is called with it first.
func reserve(t *testing.T, c *headtest.Center, a model.Account, before ...func(model.Container)) model.Container {
	t.Helper()
	node := c.Store.View().Nodes()[0]
	r := model.Container{
		ID: model.NewID(), Name: "web", AccountID: a.ID, NodeID: node.ID, Phase: model.PhaseReserved,
		Operation: model.NewID(), Created: time.Now().UTC(), State: model.ContainerState{Status: model.StatusCreated},
	}
	for _, b := range before {
		b(r)
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
	// The node has made it, but its journal has not said so: it died, too.
	r := reserve(t, c, c.Account("jill", model.PolicyTenant), c.Agent("node-1").Put)
	node := c.Store.View().Nodes()[0]
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

func TestLostDisk(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	create := func(name string, start bool) model.Container {
		t.Helper()
		if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
			t.Fatal(err)
		}
		m, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Name: name, Spec: model.ContainerSpec{Image: "busybox"}})
		if err != nil {
			t.Fatal(err)
		}
		if start {
			if err := c.Containers.Start(ctx, a, name); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	ran, never := create("ran", true), create("never", false)
	waiting, waited := make(chan struct{}), make(chan dockerapi.WaitResult, 1)
	go func() {
		got, err := c.Containers.Wait(ctx, a, "ran", dockerapi.WaitNextExit, func() { close(waiting) })
		if err != nil {
			t.Error(err)
		}
		waited <- got
	}()
	<-waiting

	agent := c.Agent("node-1")
	agent.Cut(true)
	c.Until("the node is lost", func() bool { return !c.Nodes.Connected(ran.NodeID) })
	agent.Wipe()
	agent.Cut(false)
	if got := <-waited; got.ExitCode != 255 {
		t.Errorf("a wait for the lost container got %+v", got)
	}
	for _, lost := range []model.Container{ran, never} {
		c.Until("the container is dead", func() bool {
			got, err := c.Containers.Get(ctx, a, lost.ID)
			return err == nil && got.State.Status == model.StatusDead && strings.Contains(got.State.Error, "has lost it")
		})
	}
	if missing := c.Reconciler.Findings(ran.NodeID).Missing; len(missing) != 2 {
		t.Errorf("missing are %v", missing)
	}

	err := c.Containers.Start(ctx, a, "ran")
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(err.Error(), "is dead: the container's node has lost it") {
		t.Errorf("start of a lost container: %v", err)
	}
	if m := create("after", false); m.Phase != model.PhaseCreated { // by the new epoch's first entry
		t.Errorf("phase %s", m.Phase)
	}
	for name, force := range map[string]bool{"ran": true, "never": false} {
		if err := c.Containers.Remove(ctx, a, name, wire.RemoveRequest{Force: force}); err != nil {
			t.Errorf("cannot remove lost container: %v", err)
		}
	}
	if missing := c.Reconciler.Findings(ran.NodeID).Missing; len(missing) != 0 {
		t.Errorf("after their removal, missing are %v", missing)
	}
	create("ran", true) // the name is free
}

// A container that was declared dead and that its node has after all, as when
// a disk was mounted too late, is removed by its node.
func TestDeadContainerThatTheNodeHasIsRemovedThere(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	m, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Name: "web", Spec: model.ContainerSpec{Image: "busybox"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Propose(command.LoseContainer{ID: m.ID, Reason: "lost", Time: time.Now()})
	if err := c.Containers.Remove(ctx, a, "web", wire.RemoveRequest{}); err != nil {
		t.Fatal(err)
	}
	if c.Agent("node-1").Has(m.ID) {
		t.Error("its node still has it")
	}
	destroyed := 0
	for _, e := range c.Store.View().Events(0, 0) {
		if e.Action == model.ActionDestroy {
			destroyed++
		}
	}
	if destroyed != 1 {
		t.Errorf("%d destroy events", destroyed)
	}
}

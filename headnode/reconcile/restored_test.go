package reconcile_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// After the restore of an old backup the state agrees with the nodes again,
// although these have forgotten what was acknowledged to the state that is lost.
func TestBackupIsOlderThanTheNode(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	run := func(name string) model.Container {
		t.Helper()
		m, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Name: name, Spec: model.ContainerSpec{Image: "busybox"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Containers.Start(ctx, a, name); err != nil {
			t.Fatal(err)
		}
		return m
	}
	ended, removed := run("ended"), run("removed")
	var backup bytes.Buffer
	if err := c.Store.Backup(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Kill(ctx, a, "ended", wire.KillRequest{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Remove(ctx, a, "removed", wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	later := run("later")
	c.Restart() // which acknowledges the journal
	node := c.Store.View().Nodes()[0]
	c.Until("the journal is forgotten", func() bool { return c.Agent("node-1").Acknowledged() >= node.JournalSeq })

	if err := c.Store.Restore(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	status := func(id string) model.Status {
		got, _ := c.Store.View().Container(id)
		return got.State.Status
	}
	c.Until("the state has the end of a container", func() bool { return status(ended.ID) == model.StatusExited })
	c.Until("a container that was removed meanwhile counts as lost", func() bool { return status(removed.ID) == model.StatusDead })
	c.Until("one that was made meanwhile is found", func() bool {
		return slices.Contains(c.Reconciler.Findings(node.ID).Orphans, later.ID)
	})
	c.Propose(command.SetSetting{Name: "a", Value: "b"})
	if err := c.Containers.Start(ctx, a, "ended"); err != nil {
		t.Errorf("the node does not go on: %v", err)
	}
}

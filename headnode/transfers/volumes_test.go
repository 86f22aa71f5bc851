package transfers_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// zfs makes a node hold volumes to sizes, and take snapshots of them.
func zfs(i *model.NodeInfo) { i.VolumeQuota = true }

// fill makes a volume that no container mounts, on some node, with something in
// it.
func (c *center) fill(name string) model.Volume {
	c.t.Helper()
	ctx := headtest.Context(c.t)
	made, _, err := c.Containers.Create(ctx, c.account, model.CreateContainer{Spec: model.ContainerSpec{
		Image: "busybox", Network: "none", Mounts: []model.Mount{{Type: model.MountVolume, Source: name, Target: "/data"}},
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Containers.Remove(ctx, c.account, made.ID, wire.RemoveRequest{Force: true}); err != nil {
		c.t.Fatal(err)
	}
	vol, ok := c.Store.View().VolumeByName(c.account.ID, name)
	if !ok {
		c.t.Fatalf("there is no volume %s", name)
	}
	c.at(vol.NodeID).Fill(vol.ID, "what is in "+name)
	return vol
}

func (c *center) volume(id string) model.Volume {
	found, _ := c.Store.View().Volume(id)
	return found
}

func (c *center) volumeSettled(id string) bool {
	now := c.volume(id)
	return now.Move == nil && len(now.Copies) == 0
}

// checkOneVolume waits until the move is over, and checks that the volume is on
// its node, whole and on offer to nobody, that the other node has nothing of it,
// and that a container can mount it.
func (c *center) checkOneVolume(id, name string) {
	c.t.Helper()
	c.Until("the move is over and tidied up", func() bool { return c.volumeSettled(id) })
	now := c.volume(id)
	if here := c.at(now.NodeID); here.VolumeContent(id) != "what is in "+name || here.Offered(id) != "" {
		c.t.Errorf("%s: on %s it holds %q, and is offered to %q", name, now.NodeID, here.VolumeContent(id), here.Offered(id))
	}
	if _, has := c.at(c.other(now.NodeID)).HasVolume(id); has {
		c.t.Errorf("%s: the other node has a copy", name)
	}
	made, _, err := c.Containers.Create(headtest.Context(c.t), c.account, model.CreateContainer{Spec: model.ContainerSpec{
		Image: "busybox", Network: "none", Mounts: []model.Mount{{Type: model.MountVolume, Source: name, Target: "/data"}},
	}})
	if err != nil || made.NodeID != now.NodeID {
		c.t.Errorf("%s: a container that mounts it is on %s, the volume on %s: %v", name, made.NodeID, now.NodeID, err)
	}
}

// fail has calls of moves fail on both nodes; nil has all succeed.
func (c *center) fail(fail func(call string) error) {
	for _, node := range []string{"node-1", "node-2"} {
		c.Agent(node).FailMove(fail)
	}
}

func silent(transfers.Progress) {}

func TestAVolumeMoves(t *testing.T) {
	t.Parallel()
	c := newCenter(t, zfs)
	s, _ := c.lead(nil)
	ctx := headtest.Context(t)
	vol := c.fill("data")
	from, to := vol.NodeID, c.other(vol.NodeID)
	if err := c.at(from).SnapshotVolume(ctx, vol.ID, "monday"); err != nil {
		t.Fatal(err)
	}
	if err := s.MoveVolume(ctx, vol.ID, from, 0, silent); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a move to where it is: %v", err)
	}
	var steps []string
	if err := s.MoveVolume(ctx, vol.ID, to, 7, func(p transfers.Progress) { steps = append(steps, p.Step) }); err != nil || len(steps) == 0 || steps[len(steps)-1] != "done" {
		t.Fatalf("the move ended with %v after %v", err, steps)
	}
	if all, err := c.at(to).VolumeSnapshots(ctx, vol.ID); err != nil || len(all) != 1 || c.volume(vol.ID).NodeID != to {
		t.Errorf("on %s, snapshots %v, %v", c.volume(vol.ID).NodeID, all, err)
	}
	c.checkOneVolume(vol.ID, "data") // and has a container mount it
	if err := s.MoveVolume(ctx, vol.ID, from, 0, silent); !model.IsKind(err, model.KindConflict) || !strings.Contains(err.Error(), "in use by 1 containers") {
		t.Errorf("a move of a volume in use: %v", err)
	}
}

// A volume that is moved straight back waits until the copy that it has left
// there is removed.
func TestAVolumeMovesStraightBack(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	s, _ := c.lead(nil)
	ctx := headtest.Context(t)
	vol := c.fill("data")
	from, to := vol.NodeID, c.other(vol.NodeID)
	removes, removed := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(removed) })
	defer goOn()
	c.at(from).OnRemoveVolume(sync.OnceFunc(func() {
		close(removes)
		<-removed
	}))
	if err := s.MoveVolume(ctx, vol.ID, to, 0, silent); err != nil {
		t.Fatal(err)
	}
	<-removes
	back := make(chan error, 1)
	go func() { back <- s.MoveVolume(ctx, vol.ID, from, 0, silent) }()
	select {
	case err := <-back:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	goOn()
	if err := <-back; err != nil || c.volume(vol.ID).NodeID != from {
		t.Errorf("it is on %s: %v", c.volume(vol.ID).NodeID, err)
	}
	c.checkOneVolume(vol.ID, "data")
}

// The leader ends before and after each single thing that it does for a volume;
// the next one goes on, and there is one volume in the end.
func TestTheLeaderMayDieAtAnyStepOfAVolume(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	for last := 0; ; last++ {
		name := fmt.Sprint("data", last)
		vol := c.fill(name)
		killed := c.dies(last, func() {
			c.Propose(command.AskVolumeMove{ID: vol.ID, Operation: model.NewID(), To: c.other(vol.NodeID), Time: time.Now().UTC()})
		}, func() bool { return c.volumeSettled(vol.ID) })
		c.checkOneVolume(vol.ID, name)
		if !killed {
			break
		}
	}
}

// A node that refuses a step keeps the volume where it was.
func TestAVolumeThatIsRefusedStays(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"offer volume", "fetch volume"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			c := newCenter(t)
			s, _ := c.lead(nil)
			vol := c.fill("data")
			c.fail(func(called string) error {
				if called == call {
					return model.Errorf(model.KindExhausted, "no space left on the node's storage")
				}
				return nil
			})
			err := s.MoveVolume(headtest.Context(t), vol.ID, c.other(vol.NodeID), 0, silent)
			if !model.IsKind(err, model.KindConflict) || model.UserText(err) != "the volume stays where it was: no space left on the node's storage" {
				t.Errorf("the move ended with %v", err)
			}
			if now := c.volume(vol.ID); now.NodeID != vol.NodeID {
				t.Errorf("it is on %s", now.NodeID)
			}
			c.checkOneVolume(vol.ID, "data")
		})
	}
}

// A node of an older release cannot move volumes, and keeps them.
func TestAVolumeOfAnOlderNodeStays(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	s, _ := c.lead(nil)
	vol := c.fill("data")
	c.fail(func(string) error {
		return model.Errorf(model.KindNotImplemented, "the node runs an older release")
	})
	err := s.MoveVolume(headtest.Context(t), vol.ID, c.other(vol.NodeID), 0, silent)
	if !model.IsKind(err, model.KindConflict) || model.UserText(err) != "the volume stays where it was: the node runs an older release" {
		t.Errorf("the move ended with %v", err)
	}
	c.checkOneVolume(vol.ID, "data")
}

// A node that does not answer is waited for, but not for ever.
func TestAVolumesNodeThatIsAway(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprintf("it comes back: %t", back), func(t *testing.T) {
			t.Parallel()
			c := newCenter(t)
			s, _ := c.lead(nil)
			vol := c.fill("data")
			tries, to := 0, c.other(vol.NodeID)
			c.at(to).FailMove(func(call string) error {
				if tries++; call == "fetch volume" && (tries < 4 || !back) {
					return model.Errorf(model.KindUnavailable, "it is away")
				}
				return nil
			})
			err := s.MoveVolume(headtest.Context(t), vol.ID, to, 0, silent)
			if back != (err == nil) || back != (c.volume(vol.ID).NodeID == to) {
				t.Errorf("it is on %s: %v", c.volume(vol.ID).NodeID, err)
			}
			c.checkOneVolume(vol.ID, "data")
		})
	}
}

// A volume that is removed on its way leaves nothing on either node.
func TestAVolumeIsRemovedOnItsWay(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	vol := c.fill("data")
	ctx := headtest.Context(t)
	c.Propose(command.AskVolumeMove{ID: vol.ID, Operation: "way", To: c.other(vol.NodeID), Time: time.Now().UTC()})
	if err := c.at(vol.NodeID).OfferVolume(ctx, vol.ID, wire.OfferRequest{To: c.other(vol.NodeID)}); err != nil {
		t.Fatal(err)
	}
	from, _ := c.Store.View().Node(vol.NodeID)
	if _, err := c.at(c.other(vol.NodeID)).FetchVolume(ctx, wire.FetchVolumeRequest{Volume: wire.VolumeRef{ID: vol.ID}, From: wire.Holder{NodeID: from.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Volumes.RemoveVolume(ctx, c.account, "data"); err != nil {
		t.Fatal(err)
	}
	c.lead(nil)
	c.Until("the volume is forgotten", func() bool { return c.volume(vol.ID).ID == "" })
	for _, node := range []string{"node-1", "node-2"} {
		if _, has := c.Agent(node).HasVolume(vol.ID); has {
			t.Errorf("%s has something of it", node)
		}
	}
}

// What a directory cannot hold is not left behind: the volume stays.
func TestAVolumeDoesNotLoseItsSnapshots(t *testing.T) {
	t.Parallel()
	c := newCenter(t, zfs)
	s, _ := c.lead(nil)
	ctx := headtest.Context(t)
	vol := c.fill("data")
	c.AddNode("node-3")
	plain, _ := c.Store.View().NodeByName("node-3")
	c.Agent("node-3").Meet(vol.NodeID, c.at(vol.NodeID))
	c.at(vol.NodeID).Meet(plain.ID, c.Agent("node-3"))
	if err := c.at(vol.NodeID).SnapshotVolume(ctx, vol.ID, "monday"); err != nil {
		t.Fatal(err)
	}
	if err := s.MoveVolume(ctx, vol.ID, plain.ID, 0, silent); err == nil || !strings.Contains(err.Error(), "it has 1 snapshots, which node node-3 cannot hold") {
		t.Errorf("a move with a snapshot: %v", err)
	}
	c.Until("the move is over and tidied up", func() bool { return c.volumeSettled(vol.ID) })
	if err := c.at(vol.NodeID).RemoveSnapshot(ctx, vol.ID, "monday"); err != nil {
		t.Fatal(err)
	}
	if err := s.MoveVolume(ctx, vol.ID, plain.ID, 0, silent); err != nil || c.volume(vol.ID).NodeID != plain.ID {
		t.Errorf("a move without any: %v", err)
	}
	sized := c.fill("sized")
	if err := c.Volumes.Resize(ctx, c.account, "sized", 1<<20); err != nil {
		t.Fatal(err)
	}
	if sized.NodeID == plain.ID {
		t.Fatalf("the volume is on %s", sized.NodeID)
	}
	if err := s.MoveVolume(ctx, sized.ID, plain.ID, 0, silent); !model.IsKind(err, model.KindConflict) || !strings.Contains(err.Error(), "has a size") {
		t.Errorf("a move of a volume with a size: %v", err)
	}
}

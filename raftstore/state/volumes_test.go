package state

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func testVolume(n int, size int64) model.Volume {
	return model.Volume{
		ID: fmt.Sprint("volume-", n), Name: fmt.Sprint("v", n), AccountID: "account-1", Driver: model.VolumeDriver, Size: size, Created: epoch,
	}
}

// quotaNode is a node that holds volumes to their sizes.
func quotaNode(n int, capacity int64) command.PutNode {
	node := testNode(n, capacity)
	node.Node.Info.VolumeQuota = true
	return node
}

// mounting is a reservation of a container that mounts volumes by their names.
func mounting(n int, names ...string) command.ReserveContainer {
	r := reservation(n, fmt.Sprint("c", n))
	for _, name := range names {
		r.Container.Spec.Mounts = append(r.Container.Spec.Mounts, model.Mount{Type: model.MountVolume, Source: name, Target: "/" + name})
	}
	return r
}

func (j *journal) volume(name string) model.Volume {
	j.t.Helper()
	v, ok := j.View().VolumeByName("account-1", name)
	if !ok {
		j.t.Fatalf("there is no volume %s", name)
	}
	return v
}

func (j *journal) refused(c command.Command, kind model.Kind) {
	j.t.Helper()
	if err := j.try(c); !model.IsKind(err, kind) {
		j.t.Errorf("%T: %v, want %v", c, err, kind)
	}
}

func TestFirstContainerBindsVolumes(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(quotaNode(1, 100), quotaNode(2, 100), command.CreateVolume{Volume: testVolume(1, 40)})
	j.must(command.CreateVolume{Volume: testVolume(1, 40)}) // the same again
	other := testVolume(2, 0)
	other.Name = "v1"
	j.refused(command.CreateVolume{Volume: other}, model.KindConflict)
	if p := j.View().Promised("node-1"); p.Disk != 0 {
		t.Errorf("a volume that is on no node takes %+v", p)
	}
	r := mounting(1, "v1", "fresh")
	j.refused(r, model.KindConflict) // nothing says what fresh is to be
	r.Volumes = []model.Volume{{ID: "volume-3", Name: "fresh", Size: 7, Created: epoch}, {ID: "volume-4", Name: "v1", Size: 99, Created: epoch}}
	j.must(r)
	c, _ := j.View().Container(r.Container.ID)
	if c.Spec.Mounts[0].VolumeID != "volume-1" || c.Spec.Mounts[1].VolumeID != "volume-3" {
		t.Errorf("mounts are %+v", c.Spec.Mounts)
	}
	if v := j.volume("fresh"); v.NodeID != "node-1" || v.AccountID != "account-1" {
		t.Errorf("the fresh volume is %+v", v)
	}
	if p := j.View().Promised("node-1"); p.Disk != 10+40+7 {
		t.Errorf("the node has promised %+v", p)
	}
	elsewhere := mounting(2, "v1")
	elsewhere.Container.NodeID = "node-2"
	j.refused(elsewhere, model.KindConflict)
	if got := j.View().ContainersOfVolume("volume-1"); len(got) != 1 || got[0].ID != c.ID {
		t.Errorf("containers of the volume are %v", got)
	}
	if _, ok := j.View().VolumeByName("account-2", "v1"); ok {
		t.Error("another account finds the volume")
	}
}

func TestVolumesFindNoRoom(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(command.CreateVolume{Volume: testVolume(1, 40)}, command.CreateVolume{Volume: testVolume(2, 95)})
	j.refused(mounting(1, "v1"), model.KindConflict) // the node cannot hold it to its size
	j.must(quotaNode(1, 100))
	j.refused(mounting(1, "v2"), model.KindExhausted)
	j.must(mounting(2, "v1"))
	j.refused(command.SetVolumeSize{ID: "volume-1", Before: 40, Size: 101}, model.KindExhausted)
	j.refused(command.SetVolumeSize{ID: "volume-1", Before: 41, Size: 50}, model.KindConflict)
	j.must(command.SetVolumeSize{ID: "volume-1", Before: 40, Size: 90})
	j.must(command.SetAccountLimits{AccountID: "account-1", Limits: model.AccountLimits{Volumes: 2}})
	j.refused(command.CreateVolume{Volume: testVolume(3, 0)}, model.KindExhausted)
}

func TestVolumesAreRemovedWhenNobodyMountsThem(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(quotaNode(1, 100), command.CreateVolume{Volume: testVolume(1, 5)}, command.CreateVolume{Volume: testVolume(2, 0)}, mounting(1, "v1"))
	j.refused(command.RemoveVolume{ID: "volume-1", Time: epoch}, model.KindConflict)
	j.refused(command.RemoveAccount{ID: "account-1"}, model.KindConflict)
	j.must(command.RemoveVolume{ID: "volume-2", Time: epoch}, command.RemoveVolume{ID: "volume-2", Time: epoch})
	if _, ok := j.View().Volume("volume-2"); ok {
		t.Error("a volume that was on no node is still there")
	}
	j.must(command.ReleaseContainer{ID: mounting(1).Container.ID})
	j.refused(command.ForgetVolume{ID: "volume-1"}, model.KindConflict)
	j.refused(command.RemoveNode{ID: "node-1"}, model.KindConflict)
	j.must(command.RemoveVolume{ID: "volume-1", Time: epoch})
	if _, ok := j.View().VolumeByName("account-1", "v1"); ok {
		t.Error("a removed volume is found by its name")
	}
	again := testVolume(7, 0)
	again.Name = "v1"
	j.must(command.CreateVolume{Volume: again}) // the name is free, and the new one another
	if got := j.View().UntidyVolumes(); len(got) != 1 || got[0].ID != "volume-1" || j.View().Promised("node-1").Disk != 5 {
		t.Errorf("removed are %v; promised is %+v", got, j.View().Promised("node-1"))
	}
	j.must(command.ForgetVolume{ID: "volume-1"}, command.ForgetVolume{ID: "volume-1"})
	if p := j.View().Promised("node-1"); p.Disk != 0 {
		t.Errorf("the node has promised %+v", p)
	}
	j.must(command.RemoveNode{ID: "node-1"})
}

// A volume without a name goes with its container where that goes by itself,
// and where its creation was undone; not where others mount it by then.
func TestAnonymousVolumesGoWithTheirContainer(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	with := func(n int, name string, auto bool) command.ReserveContainer {
		r := mounting(n, name)
		r.Container.Spec.Mounts[0].Anonymous, r.Container.Spec.AutoRemove = true, auto
		r.Volumes = []model.Volume{{ID: "id-" + name, Name: name, Created: epoch}}
		return r
	}
	end := func(r command.ReserveContainer, seq uint64) command.CommitJournal {
		return command.CommitJournal{NodeID: "node-1", Epoch: "e", Entries: []model.JournalEntry{
			{Seq: seq, ContainerID: r.Container.ID, Action: model.ActionCreate, Time: epoch},
			{Seq: seq + 1, ContainerID: r.Container.ID, Action: model.ActionDestroy, Time: epoch},
		}}
	}
	undone, auto, stays, shared := with(1, "undone", false), with(2, "auto", true), with(3, "stays", false), with(4, "shared", true)
	j.must(undone, auto, stays, shared, mounting(5, "shared"))
	j.must(command.ReleaseContainer{ID: undone.Container.ID}, end(auto, 1), end(stays, 3), end(shared, 5))
	var left []string
	for _, v := range j.View().Volumes("account-1") {
		left = append(left, v.Name)
	}
	if !slices.Equal(left, []string{"shared", "stays"}) {
		t.Errorf("left are %v", left)
	}
}

func TestVolumesMove(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(quotaNode(1, 100), quotaNode(2, 100), quotaNode(3, 1), command.CreateVolume{Volume: testVolume(1, 20)}, mounting(1, "v1"))
	move := command.MoveVolume{ID: "volume-1", From: "node-1", To: "node-2"}
	j.refused(move, model.KindConflict) // it is mounted
	j.refused(command.AddCopy{ID: "volume-1", NodeID: "node-2"}, model.KindConflict)
	j.must(command.ReleaseContainer{ID: mounting(1).Container.ID})
	j.refused(move, model.KindConflict) // there is no copy
	j.refused(command.AddCopy{ID: "volume-1", NodeID: "node-1"}, model.KindConflict)
	j.refused(command.AddCopy{ID: "volume-1", NodeID: "node-3"}, model.KindExhausted)
	j.must(command.AddCopy{ID: "volume-1", NodeID: "node-2"})
	j.refused(mounting(2, "v1"), model.KindConflict) // on its way
	j.must(command.CondemnCopy{ID: "volume-1", NodeID: "node-2"})
	j.refused(move, model.KindConflict) // somebody has given it up
	j.must(mounting(3, "v1"), command.ReleaseContainer{ID: mounting(3).Container.ID})
	j.must(command.DropCopy{ID: "volume-1", NodeID: "node-2"}, command.AddCopy{ID: "volume-1", NodeID: "node-2"})
	j.refused(command.DropCopy{ID: "volume-1", NodeID: "node-2"}, model.KindConflict)
	j.must(move, move)
	if v := j.volume("v1"); v.NodeID != "node-2" || j.View().Promised("node-1").Disk != 0 || j.View().Promised("node-2").Disk != 20 ||
		!slices.Equal(v.Copies, []model.VolumeCopy{{NodeID: "node-1", Dead: true}}) {
		t.Errorf("the volume is %+v", v)
	}
	j.must(command.RemoveNode{ID: "node-1"})
	if v := j.volume("v1"); len(v.Copies) > 0 {
		t.Errorf("copies are %+v", v.Copies)
	}
}

// What is still being filled is no volume yet that a container could mount.
func TestIncompleteVolumes(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	v := testVolume(1, 0)
	v.NodeID, v.Incomplete = "node-1", true
	j.must(command.CreateVolume{Volume: v})
	j.refused(mounting(1, "v1"), model.KindConflict)
	j.must(command.FinishVolume{ID: v.ID}, mounting(1, "v1"))
}

func TestEventsOfVolumes(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := mounting(1, "v1")
	j.must(command.CreateVolume{Volume: testVolume(1, 0)}, r, command.CommitJournal{NodeID: "node-1", Epoch: "e", Entries: []model.JournalEntry{
		{Seq: 1, ContainerID: r.Container.ID, Action: model.ActionCreate, Time: epoch},
		{Seq: 2, ContainerID: r.Container.ID, Action: "start", Time: epoch, State: &model.ContainerState{Status: model.StatusRunning}},
		{Seq: 3, ContainerID: r.Container.ID, Action: "die", Time: epoch, State: &model.ContainerState{Status: model.StatusExited}},
		{Seq: 4, ContainerID: r.Container.ID, Action: model.ActionDestroy, Time: epoch},
	}}, command.RemoveVolume{ID: "volume-1", Time: epoch.Add(time.Second)})
	var got []string
	for _, e := range j.View().Events(0, 0) {
		if e.Type == "volume" {
			got = append(got, e.Action+" "+e.ActorID)
		}
	}
	if want := []string{"create v1", "mount v1", "unmount v1", "destroy v1"}; !slices.Equal(got, want) {
		t.Errorf("events are %v, want %v", got, want)
	}
}

func randomVolumeCommand(t *rapid.T) command.Command {
	n := rapid.IntRange(1, 4).Draw(t, "volume")
	id := fmt.Sprint("volume-", n)
	switch rapid.IntRange(0, 9).Draw(t, "volume command") {
	case 0:
		v := testVolume(n, rapid.Int64Range(0, 2).Draw(t, "size"))
		v.AccountID = accountID(t)
		if rapid.Bool().Draw(t, "on a node") {
			v.NodeID = nodeID(t)
		}
		return command.CreateVolume{Volume: v}
	case 1:
		return command.RemoveVolume{ID: id, Time: epoch}
	case 2:
		return command.ForgetVolume{ID: id}
	case 3:
		return command.SetVolumeSize{ID: id, Before: rapid.Int64Range(0, 2).Draw(t, "before"), Size: rapid.Int64Range(0, 3).Draw(t, "size")}
	case 4:
		return command.MoveVolume{ID: id, From: nodeID(t), To: nodeID(t)}
	case 5:
		return command.AddCopy{ID: id, NodeID: nodeID(t)}
	case 7:
		return randomVolumeMove(t, id)
	case 6:
		if rapid.Bool().Draw(t, "condemned") {
			return command.CondemnCopy{ID: id, NodeID: nodeID(t)}
		}
		return command.DropCopy{ID: id, NodeID: nodeID(t)}
	}
	r := randomReservation(t, epoch).(command.ReserveContainer)
	r.Container.Spec.AutoRemove = rapid.Bool().Draw(t, "auto remove")
	for range rapid.IntRange(1, 2).Draw(t, "mounts") {
		m := rapid.IntRange(1, 5).Draw(t, "mount")
		r.Container.Spec.Mounts = append(r.Container.Spec.Mounts, model.Mount{
			Type: model.MountVolume, Source: fmt.Sprint("v", m), Target: "/x", Anonymous: rapid.Bool().Draw(t, "anonymous"),
		})
		if m > 3 {
			r.Volumes = append(r.Volumes, model.Volume{ID: fmt.Sprint("volume-", m), Name: fmt.Sprint("v", m), Created: epoch})
		}
	}
	return r
}

// checkVolumes looks at all volumes anew for what the state promises of them.
func checkVolumes(t *rapid.T, v *View) {
	disk, names := map[string]int64{}, map[string]bool{}
	for _, c := range v.AllContainers() {
		disk[c.NodeID] += c.Reserved.Disk
		for _, m := range c.Spec.Mounts {
			vol, ok := v.Volume(m.VolumeID)
			if !ok || vol.Removing || vol.NodeID != c.NodeID || vol.AccountID != c.AccountID || vol.Name != m.Source {
				t.Fatalf("container %s on %s mounts %+v, which is %+v", c.ID, c.NodeID, m, vol)
			}
		}
	}
	for _, vol := range v.AllVolumes() {
		if vol.NodeID != "" {
			disk[vol.NodeID] += vol.Size
			if _, ok := v.Node(vol.NodeID); !ok {
				t.Fatalf("volume %s has no node", vol.ID)
			}
		}
		checkVolumeMove(t, v, vol, disk)
		for _, c := range vol.Copies {
			if _, ok := v.Node(c.NodeID); !ok || c.NodeID == vol.NodeID {
				t.Fatalf("volume %s on %s has a copy on %s", vol.ID, vol.NodeID, c.NodeID)
			}
		}
		if vol.Moving() && len(v.ContainersOfVolume(vol.ID)) > 0 {
			t.Fatalf("volume %s is on its way while a container mounts it", vol.ID)
		}
		if vol.Removing {
			if vol.NodeID == "" && len(vol.Copies) == 0 {
				t.Fatalf("volume %s is on no node and not forgotten", vol.ID)
			}
			continue
		}
		name := vol.AccountID + " " + vol.Name
		if names[name] {
			t.Fatalf("the name %s is there twice", name)
		}
		names[name] = true
		if _, ok := v.Account(vol.AccountID); !ok {
			t.Fatalf("volume %s has no account", vol.ID)
		}
	}
	for _, n := range v.Nodes() {
		if got := v.Promised(n.ID).Disk; got != disk[n.ID] {
			t.Fatalf("node %s has promised %d of disk, its containers and volumes sum up to %d", n.ID, got, disk[n.ID])
		}
	}
}

func TestAnyCommandsKeepVolumesWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := New()
		var index uint64
		do := func(c command.Command) {
			index++
			if err := apply(t, s, index, c); model.IsKind(err, model.KindInternal) {
				t.Fatalf("%T: %v", c, err)
			}
			checkVolumes(t, s.View())
		}
		for n := range 3 {
			do(testAccount(n + 1))
		}
		do(testNetwork(1))
		do(testNetwork(2))
		do(quotaNode(1, 4))
		do(quotaNode(2, 4))
		for range rapid.IntRange(0, 40).Draw(t, "length") {
			if rapid.Bool().Draw(t, "of volumes") {
				do(randomVolumeCommand(t))
			} else {
				do(randomCommand(t))
			}
		}
		checkRestore(t, s)
	})
}

package accountapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// volume makes a volume that is on a node, with a container that mounts it,
// which is returned.
func (b *bed) volume(p person, name string, size int64) model.Container {
	b.t.Helper()
	ctx := headtest.Context(b.t)
	if _, err := b.Images.Pull(ctx, p.account, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Volumes.CreateVolume(ctx, p.account, model.Volume{Name: name, Driver: model.VolumeDriver, Size: size}); err != nil {
		b.t.Fatal(err)
	}
	c, _, err := b.Containers.Create(ctx, p.account, model.CreateContainer{Spec: model.ContainerSpec{
		Image: "busybox", Mounts: []model.Mount{{Type: model.MountVolume, Source: name, Target: "/data"}},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bed) stored(p person, name string) model.Volume {
	b.t.Helper()
	v, ok := b.Store.View().VolumeByName(p.account.ID, name)
	if !ok {
		b.t.Fatalf("there is no volume %s", name)
	}
	return v
}

func TestAccountsWorkOnTheirVolumes(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	jill, jack := b.join("jill"), b.join("jack")
	mounting := b.volume(jill, "data", 4<<20)
	id := b.stored(jill, "data").ID
	b.Agent("one").Fill(id, "first")
	for _, err := range []error{
		jill.Snapshot(ctx, "data", "monday"), jill.CloneVolume(ctx, "data", "monday", "copy"), jill.ResizeVolume(ctx, "data", 8<<20),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if size, _ := b.Agent("one").HasVolume(id); size != 8<<20 {
		t.Errorf("the node holds the volume to %d", size)
	}
	all := must(jill.Volumes(ctx))(t)
	if len(all) != 2 || all[0].Name != "copy" || all[1].Size != 8<<20 || all[1].Containers != 1 || all[1].State != "ready" || *all[1].Used != 5 {
		t.Errorf("jill has %+v", all)
	}
	b.Agent("one").Fill(id, "second")
	if err := jill.RestoreVolume(ctx, "data", "monday"); err != nil {
		t.Fatal(err)
	}
	if all := must(jill.Snapshots(ctx, "data"))(t); len(all) != 1 || all[0].Name != "monday" {
		t.Errorf("the volume has %+v", all)
	}
	if err := jill.RemoveSnapshot(ctx, "data", "monday"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, jill.RenameVolume(ctx, "data", "new"), model.KindConflict, "in use")
	if err := b.Containers.Remove(ctx, jill.account, mounting.ID, wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, jill.RenameVolume(ctx, "data", "copy"), model.KindConflict, "already exists")
	wantKind(t, jill.RenameVolume(ctx, "data", "../x"), model.KindInvalid, "invalid characters")
	for range 2 { // the second time after a head has died
		if err := jill.RenameVolume(ctx, "data", "data"); err != nil {
			t.Fatal(err)
		}
	}
	if err := jill.RenameVolume(ctx, "data", "new"); err != nil || b.stored(jill, "new").ID != id {
		t.Errorf("renamed: %v", err)
	}

	for call, err := range map[string]error{
		"snapshot": jack.Snapshot(ctx, "copy", "x"), "restore": jack.RestoreVolume(ctx, "copy", "x"), "resize": jack.ResizeVolume(ctx, "copy", 8<<20),
		"remove": jack.RemoveSnapshot(ctx, "copy", "x"), "clone": jack.CloneVolume(ctx, "copy", "", "mine"), "rename": jack.RenameVolume(ctx, "copy", "mine"),
	} {
		if !model.IsKind(err, model.KindNotFound) || !strings.Contains(err.Error(), "no such volume") {
			t.Errorf("%s of another's volume: %v", call, err)
		}
	}
}

// Snapshots cost no promise, so they are held to what the volume may hold.
func TestSnapshotsOfAccountsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	jill := b.join("jill")
	b.volume(jill, "data", 1<<20)
	id := b.stored(jill, "data").ID
	b.Agent("one").Fill(id, strings.Repeat("x", 600<<10))
	for _, name := range []string{"spearhead-1", "a@b", "a,b", "a%b", "../x"} {
		wantKind(t, jill.Snapshot(ctx, "data", name), model.KindInvalid, "invalid name of a snapshot")
		wantKind(t, jill.RemoveSnapshot(ctx, "data", name), model.KindInvalid, "invalid name of a snapshot")
	}
	if err := jill.Snapshot(ctx, "data", "one"); err != nil {
		t.Fatal(err)
	}
	b.Agent("one").HoldInSnapshots(id, 600<<10) // all files have changed
	wantKind(t, jill.Snapshot(ctx, "data", "two"), model.KindExhausted, "may hold as much as it may itself, 1MiB")
	wantKind(t, jill.CloneVolume(ctx, "data", "", "copy"), model.KindExhausted, "remove some")
	wantKind(t, jill.Snapshot(ctx, "data", "one"), model.KindConflict, "already")
	if err := jill.CloneVolume(ctx, "data", "one", "copy"); err != nil {
		t.Errorf("a clone of what is held already: %v", err)
	}

	b.volume(jill, "many", 1<<20)
	for i := range 64 {
		if err := jill.Snapshot(ctx, "many", fmt.Sprint("s", i)); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, jill.Snapshot(ctx, "many", "more"), model.KindExhausted, "64 snapshots")
}

func TestSizesOfAccountsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	jill := b.join("jill")
	b.volume(jill, "data", 2<<20)
	wantKind(t, jill.ResizeVolume(ctx, "data", 5), model.KindInvalid, "at least")
	wantKind(t, jill.ResizeVolume(ctx, "data", -1), model.KindInvalid, "at least")
	if err := jill.ResizeVolume(ctx, "data", 0); err != nil {
		t.Errorf("without limits: %v", err)
	}
	if err := jill.ResizeVolume(ctx, "data", 2<<20); err != nil {
		t.Fatal(err)
	}
	used := must(jill.Usage(ctx))(t).Used
	b.Propose(command.SetAccountLimits{AccountID: jill.account.ID, Limits: model.AccountLimits{Disk: used.Disk + 1<<20, Volumes: 1}})
	wantKind(t, jill.ResizeVolume(ctx, "data", 0), model.KindForbidden, "without bound")
	wantKind(t, jill.ResizeVolume(ctx, "data", 4<<20), model.KindExhausted, "of disk")
	wantKind(t, jill.CloneVolume(ctx, "data", "", "copy"), model.KindExhausted, "volumes")
	if err := jill.ResizeVolume(ctx, "data", 3<<20); err != nil {
		t.Error(err)
	}
}

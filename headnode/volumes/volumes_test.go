package volumes_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// quota makes a node hold volumes to their sizes.
func quota(i *model.NodeInfo) { i.VolumeQuota = true }

// bed is a data center with nodes that have ZFS, and an account.
type bed struct {
	*headtest.Center
	t *testing.T
	a model.Account
}

func newBed(t *testing.T, nodes ...string) *bed {
	t.Helper()
	c := headtest.New(t, 0)
	for _, name := range nodes {
		c.AddNode(name, quota)
	}
	b := &bed{c, t, c.Account("jill", model.PolicyTenant)}
	if _, err := c.Images.Pull(headtest.Context(t), b.a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	return b
}

// mount makes a container that mounts a volume, and returns it.
func (b *bed) mount(volume string, change ...func(*model.CreateContainer)) model.Container {
	b.t.Helper()
	r := model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox", Mounts: []model.Mount{{Type: model.MountVolume, Source: volume, Target: "/data"}}}}
	for _, f := range change {
		f(&r)
	}
	c, _, err := b.Containers.Create(headtest.Context(b.t), b.a, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bed) remove(c model.Container, volumes bool) {
	b.t.Helper()
	if err := b.Containers.Remove(headtest.Context(b.t), b.a, c.ID, wire.RemoveRequest{Force: true, Volumes: volumes}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) volume(name string) model.Volume {
	b.t.Helper()
	v, err := b.Volumes.Volume(headtest.Context(b.t), b.a, name)
	if err != nil {
		b.t.Fatal(err)
	}
	return v.Volume
}

// holders are the nodes that have files of a volume.
func (b *bed) holders(id string) (names []string) {
	for _, n := range b.Store.View().Nodes() {
		if _, has := b.Agent(n.Name).HasVolume(id); has {
			names = append(names, n.Name)
		}
	}
	return names
}

func (b *bed) nodeName(id string) string {
	n, _ := b.Store.View().Node(id)
	return n.Name
}

// other is a node that is not the one of that id.
func (b *bed) other(id string) string {
	for _, n := range b.Store.View().Nodes() {
		if n.ID != id {
			return n.Name
		}
	}
	return ""
}

func TestFirstContainerMakesTheVolume(t *testing.T) {
	t.Parallel()
	b := newBed(t, "one", "two", "three")
	ctx := headtest.Context(t)
	v, err := b.Volumes.CreateVolume(ctx, b.a, model.Volume{Name: "data", Driver: "local", Size: 5 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Volumes.CreateVolume(ctx, b.a, model.Volume{Name: "data", Size: 6 << 20}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("the same name with another size: %v", err)
	}
	if again, err := b.Volumes.CreateVolume(ctx, b.a, model.Volume{Name: "data"}); err != nil || again.ID != v.ID || again.Size != v.Size {
		t.Errorf("the same name again: %+v, %v", again, err)
	}
	if got := b.holders(v.ID); got != nil {
		t.Errorf("before its first use it is on %v", got)
	}
	first := b.mount("data")
	for range 5 {
		if c := b.mount("data"); c.NodeID != first.NodeID {
			t.Errorf("a container is on %s, and its volume on %s", c.NodeID, first.NodeID)
		}
	}
	node := b.nodeName(first.NodeID)
	if size, ok := b.Agent(node).HasVolume(v.ID); !ok || size != 5<<20 || len(b.holders(v.ID)) != 1 {
		t.Errorf("the volume is on %v, of %d bytes", b.holders(v.ID), size)
	}
	if c := b.mount("fresh"); b.volume("fresh").NodeID != c.NodeID {
		t.Errorf("a volume that nobody made before is %+v", b.volume("fresh"))
	}
}

func TestDefaultSize(t *testing.T) {
	t.Parallel()
	b := newBed(t, "one")
	ctx := headtest.Context(t)
	if err := b.Volumes.SetDefaultSize(ctx, 3<<20); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"made": 0, "large": 7 << 20} {
		if _, err := b.Volumes.CreateVolume(ctx, b.a, model.Volume{Name: name, Size: size}); err != nil {
			t.Fatal(err)
		}
	}
	b.mount("mounted")
	for name, want := range map[string]int64{"made": 3 << 20, "large": 7 << 20, "mounted": 3 << 20} {
		if v := b.volume(name); v.Size != want {
			t.Errorf("%s has %d bytes, want %d", name, v.Size, want)
		}
	}
	if v, err := b.Volumes.CreateVolume(ctx, b.a, model.Volume{Name: "large"}); err != nil || v.Size != 7<<20 {
		t.Errorf("the same name without a size: %+v, %v", v, err)
	}
	if err := b.Volumes.SetDefaultSize(ctx, 0); err != nil || b.Volumes.DefaultSize() != 0 {
		t.Errorf("no default any more: %d, %v", b.Volumes.DefaultSize(), err)
	}
}

func TestRemovedVolumesGoFromTheirNodes(t *testing.T) {
	t.Parallel()
	b := newBed(t, "one")
	ctx := headtest.Context(t)
	c := b.mount("data")
	v := b.volume("data")
	if err := b.Volumes.RemoveVolume(ctx, b.a, "data"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a volume in use is removed: %v", err)
	}
	b.remove(c, true) // it has a name, and stays
	b.Agent("one").Cut(true)
	b.Until("the node is lost", func() bool { return !b.Nodes.Connected(c.NodeID) })
	if err := b.Volumes.RemoveVolume(ctx, b.a, "data"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Volumes.Volume(ctx, b.a, "data"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("the removed volume: %v", err)
	}
	b.Restart() // another head takes it up
	b.Agent("one").Cut(false)
	b.Until("the files are gone", func() bool { return b.holders(v.ID) == nil && len(b.Store.View().AllVolumes()) == 0 })
}

func TestAnonymousVolumesGoWithTheirContainer(t *testing.T) {
	t.Parallel()
	b := newBed(t, "one")
	for name, volumes := range map[string]bool{"kept": false, "removed": true} {
		c := b.mount("", func(r *model.CreateContainer) { r.Name = name })
		id := c.Spec.Mounts[0].VolumeID
		b.remove(c, volumes)
		if !volumes {
			if got := b.holders(id); len(got) != 1 {
				t.Errorf("the volume of %s is on %v", name, got)
			}
			continue
		}
		b.Until("the volume of the container is gone", func() bool { return b.holders(id) == nil })
	}
	// A creation that came to nothing leaves none.
	b.Agent("one").FailCreate(model.Errorf(model.KindExhausted, "no room"))
	before := len(b.Store.View().AllVolumes())
	_, _, err := b.Containers.Create(headtest.Context(t), b.a, model.CreateContainer{Spec: model.ContainerSpec{
		Image: "busybox", Mounts: []model.Mount{{Type: model.MountVolume, Target: "/d"}},
	}})
	if !model.IsKind(err, model.KindExhausted) {
		t.Errorf("creation: %v", err)
	}
	b.Until("the volume of the failed creation is gone", func() bool { return len(b.Store.View().AllVolumes()) == before })
}

func TestImageVolumesAndVolumesFrom(t *testing.T) {
	t.Parallel()
	b := newBed(t, "one", "two")
	img := headtest.Image("stateful")
	img.Config.Volumes = []string{"/srv", "/var/lib/db", "/tmp"}
	for _, node := range []string{"one", "two"} {
		b.Agent(node).Publish("docker.io/library/stateful:latest", img)
	}
	if _, err := b.Images.Pull(headtest.Context(t), b.a, dockerapi.PullRequest{Ref: "stateful"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	c := b.mount("named", func(r *model.CreateContainer) {
		r.Name, r.Spec.Image, r.Spec.Mounts[0].Target, r.Spec.Tmpfs = "first", "stateful", "/srv", map[string]string{"/tmp": ""}
	})
	var targets []string
	for _, m := range c.Spec.Mounts {
		targets = append(targets, m.Target)
	}
	if !slices.Equal(targets, []string{"/srv", "/var/lib/db"}) || c.Spec.Mounts[0].Anonymous || !c.Spec.Mounts[1].Anonymous {
		t.Errorf("mounts are %+v", c.Spec.Mounts)
	}
	from, _, err := b.Containers.Create(headtest.Context(t), b.a, model.CreateContainer{
		Spec: model.ContainerSpec{Image: "busybox"}, Asked: model.Asked{VolumesFrom: []string{"first:ro"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range from.Spec.Mounts {
		if m.VolumeID != c.Spec.Mounts[i].VolumeID || !m.ReadOnly || m.Anonymous || from.NodeID != c.NodeID {
			t.Errorf("from the other container: %+v", m)
		}
	}
}

func TestOperatorsWork(t *testing.T) {
	t.Parallel()
	b := newBed(t, "one", "two")
	ctx := headtest.Context(t)
	b.remove(b.mount("data"), false)
	v := b.volume("data")
	node := b.Agent(b.nodeName(v.NodeID))
	node.Fill(v.ID, "monday")
	if err := b.Volumes.Snapshot(ctx, b.a, "data", "monday"); err != nil {
		t.Fatal(err)
	}
	node.Fill(v.ID, "tuesday")
	if err := b.Volumes.Clone(ctx, b.a, "data", "monday", "copy"); err != nil {
		t.Fatal(err)
	}
	if err := b.Volumes.Clone(ctx, b.a, "data", "sunday", "other"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a clone of no snapshot: %v", err)
	}
	if _, err := b.Volumes.Volume(ctx, b.a, "other"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("what could not be cloned is there: %v", err)
	}
	read := func(name string) string {
		t.Helper()
		s, err := b.Volumes.Send(ctx, b.a, name, "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		content, err := io.ReadAll(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if got := read("copy"); got != `"monday"` {
		t.Errorf("the clone holds %s", got)
	}
	if err := b.Volumes.Receive(ctx, b.a, "from-file", "two", 1<<20, strings.NewReader(`"stream"`)); err != nil || read("from-file") != `"stream"` {
		t.Errorf("received: %v", err)
	}
	b.Agent("two").Cut(true)
	if err := b.Volumes.Receive(ctx, b.a, "cut", "two", 0, strings.NewReader(`"stream"`)); !model.IsKind(err, model.KindUnavailable) || !strings.Contains(err.Error(), "there is no volume cut; send the stream again from its beginning") {
		t.Errorf("a stream to a node that went away: %v", err)
	}
	b.Agent("two").Cut(false)
	b.Until("the volume of the stream that broke off is gone", func() bool {
		return !slices.ContainsFunc(b.Store.View().AllVolumes(), func(v *model.Volume) bool { return v.Name == "cut" })
	})
	if err := b.Volumes.Receive(ctx, b.a, "half", "", 0, strings.NewReader(`"stre`)); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("half of a stream: %v", err)
	}
	b.Until("the half is gone", func() bool {
		return !slices.ContainsFunc(b.Store.View().AllVolumes(), func(v *model.Volume) bool { return v.Name == "half" })
	})
	for _, size := range []int64{8 << 20, 4 << 20, 0} {
		if err := b.Volumes.Resize(ctx, b.a, "data", size); err != nil {
			t.Fatal(err)
		}
		if got, _ := node.HasVolume(v.ID); got != size || b.volume("data").Size != size {
			t.Errorf("resized to %d: the node has %d, the state %+v", size, got, b.volume("data"))
		}
	}
	if err := b.Volumes.Resize(ctx, b.a, "data", 1<<50); !model.IsKind(err, model.KindExhausted) {
		t.Errorf("larger than the node: %v", err)
	}
}

// Whatever a head of an older release, which copied volumes itself, has left, one
// copy can be mounted and the other goes.
func TestCopiesOfAnOlderHead(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(b *bed, v model.Volume, to string){
		"before the copy": func(*bed, model.Volume, string) {},
		"after the copy": func(b *bed, v model.Volume, to string) {
			if err := b.Agent(to).ReceiveVolume(headtest.Context(b.t), v.ID, wire.ReceiveVolumeRequest{}, strings.NewReader(`"files"`)); err != nil {
				b.t.Fatal(err)
			}
		},
		"after the entry": func(b *bed, v model.Volume, to string) {
			if err := b.Agent(to).ReceiveVolume(headtest.Context(b.t), v.ID, wire.ReceiveVolumeRequest{}, strings.NewReader(`"files"`)); err != nil {
				b.t.Fatal(err)
			}
			n, _ := b.Store.View().NodeByName(to)
			b.Propose(command.MoveVolume{ID: v.ID, From: v.NodeID, To: n.ID})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "one", "two")
			b.t = t
			b.remove(b.mount("data"), false)
			v := b.volume("data")
			from, to := b.nodeName(v.NodeID), b.other(v.NodeID)
			b.Agent(from).Fill(v.ID, "files")
			n, _ := b.Store.View().NodeByName(to)
			b.StopClearing()
			b.Propose(command.AddCopy{ID: v.ID, NodeID: n.ID})
			leave(b, v, to)
			b.Restart()
			home := from
			if name == "after the entry" {
				home = to
			}
			b.Until("one copy is left", func() bool {
				return slices.Equal(b.holders(v.ID), []string{home}) && len(b.volume("data").Copies) == 0
			})
			if c := b.mount("data"); b.nodeName(c.NodeID) != home {
				t.Errorf("the container is on %s, the volume on %s", b.nodeName(c.NodeID), home)
			}
		})
	}
}

// What a former way has left of a volume goes before a node is chosen for the next one.
func TestCopiesGoBeforeTheNextMove(t *testing.T) {
	t.Parallel()
	b := newBed(t, "one", "two")
	ctx := headtest.Context(t)
	c := b.mount("data")
	b.StopClearing()
	b.Propose(command.AskGroupTransfer{ID: c.ID, Operation: "one"})
	if err := b.Containers.PlaceTransfer(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	b.Propose(command.StepTransfer{ID: c.ID, Operation: "one", Step: model.TransferUndoing})
	b.Propose(command.EndTransfer{ID: c.ID, Operation: "one"})
	stays, _ := b.Store.View().Container(c.ID)
	b.Propose(command.DropFormer{ID: c.ID, Former: stays.Former[0]})
	b.Propose(command.AskGroupTransfer{ID: c.ID, Operation: "two"})
	if err := b.Containers.PlaceTransfer(ctx, c.ID); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("while the other node has an old copy: %v", err)
	}
	b.Restart()
	b.Until("the old copy is gone", func() bool { return len(b.volume("data").Copies) == 0 })
	if err := b.Containers.PlaceTransfer(ctx, c.ID); err != nil {
		t.Error(err)
	}
}

// Without ZFS anywhere, a volume that is on no node yet could come to be on none
// once it had a size.
func TestResizeNeedsSomeNodeThatHoldsSizes(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	b := &bed{c, t, c.Account("jill", model.PolicyTenant)}
	ctx := headtest.Context(t)
	if _, err := b.Volumes.CreateVolume(ctx, b.a, model.Volume{Name: "data"}); err != nil {
		t.Fatal(err)
	}
	err := b.Volumes.Resize(ctx, b.a, "data", 1<<30)
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "no node of the data center can hold a volume to a size") {
		t.Errorf("got %v", err)
	}
	if size := b.volume("data").Size; size != 0 {
		t.Errorf("its size is %d", size)
	}
}

// Of a node's disk more may be promised than there is; a volume without a size
// takes none of that.
func TestVolumesGoByTheNodesRatios(t *testing.T) {
	t.Parallel()
	b := newBed(t, "node-1", "node-2")
	ctx := headtest.Context(t)
	for _, v := range []model.Volume{{Name: "sized", Size: 1 << 30}, {Name: "boundless"}} {
		if _, err := b.Volumes.CreateVolume(ctx, b.a, v); err != nil {
			t.Fatal(err)
		}
		b.remove(b.mount(v.Name), false)
		from := b.volume(v.Name).NodeID
		full, _ := b.Store.View().NodeByName(b.other(from))
		full.Info.Capacity.Disk = 1 << 20
		for ratio, want := range map[float64]string{1: "", 2000: full.Name} {
			if v.Size == 0 {
				want = full.Name
			}
			full.Overcommit.Disk = ratio
			b.Propose(command.PutNode{Node: full})
			vol := b.volume(v.Name)
			if to, err := b.Volumes.Target(from, &vol); to != want || (err == nil) != (want != "") {
				t.Errorf("%s, by a ratio of %g: %q, %v; want %q", v.Name, ratio, to, err, want)
			}
		}
	}
}

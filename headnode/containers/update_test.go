package containers_test

import (
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func memory(bytes int64) func(*model.Limits) error {
	return func(l *model.Limits) error {
		l.Memory, l.MemorySwap = bytes, bytes
		return nil
	}
}

// promised checks that what is reserved for the account's containers is what
// their limits say, that the node has promised their sum, and that no update
// is under way.
func promised(t *testing.T, c *headtest.Center) {
	t.Helper()
	v := c.Store.View()
	sums := map[string]model.Resources{}
	for _, m := range v.AllContainers() {
		sums[m.NodeID] = sums[m.NodeID].Add(m.Reserved)
		if m.Reserved != m.Spec.Limits.Needs(m.Reserved) || m.Update != nil {
			t.Errorf("container %s has limits %+v, reserved %+v, update %+v", m.Name, m.Spec.Limits, m.Reserved, m.Update)
		}
	}
	for _, n := range v.Nodes() {
		if v.Promised(n.ID) != sums[n.ID] {
			t.Errorf("node %s has promised %+v, its containers sum up to %+v", n.Name, v.Promised(n.ID), sums[n.ID])
		}
	}
}

func TestUpdateChangesLimitsReservationAndPackage(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	made := create(t, c, a, request("web"))
	if _, err := c.Containers.Update(ctx, a, "web", memory(512<<20), &model.RestartPolicy{Name: "always"}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Containers.Get(ctx, a, "web")
	if err != nil {
		t.Fatal(err)
	}
	if got.Spec.Limits.Memory != 512<<20 || got.Reserved.Memory != 512<<20 || got.Package != "large" || got.Spec.Restart.Name != "always" {
		t.Errorf("after the update: limits %+v, reserved %+v, package %s, restart %+v", got.Spec.Limits, got.Reserved, got.Package, got.Spec.Restart)
	}
	if node := c.Agent("node-1").Spec(made.ID); node.Limits.Memory != 512<<20 || node.Restart.Name != "always" {
		t.Errorf("the node has limits %+v, restart %+v", node.Limits, node.Restart)
	}
	if _, err := c.Containers.Update(ctx, a, "web", nil, &model.RestartPolicy{Name: "no"}); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Containers.Get(ctx, a, "web"); got.Spec.Restart.Name != "no" || got.Spec.Limits.Memory != 512<<20 {
		t.Errorf("after the second update: restart %+v, limits %+v", got.Spec.Restart, got.Spec.Limits)
	}
	promised(t, c)
}

func TestUpdateLeavesWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("root", model.PolicyTrusted)
	c.Propose(command.PutPackage{Package: model.Package{Name: "plain", Memory: 64 << 20, Active: true}})
	pull(t, c, a)
	r := request("web")
	r.Spec.Labels, r.Spec.Limits.Pids = map[string]string{"spearhead.package": "plain"}, -1
	made := create(t, c, a, r)
	if made.Spec.Limits.Pids != 0 || made.Spec.Limits.Disk != 0 {
		t.Fatalf("limits of the new container: %+v", made.Spec.Limits)
	}
	if _, err := c.Containers.Update(ctx, a, "web", memory(256<<20), nil); err != nil {
		t.Fatal(err)
	}
	got, _ := c.Containers.Get(ctx, a, "web")
	if got.Package != "large" || got.Spec.Limits.Pids != 0 || got.Spec.Limits.Disk != 0 {
		t.Errorf("after an update of memory: package %s, limits %+v", got.Package, got.Spec.Limits)
	}
	promised(t, c)
}

// Less memory is no more swap, so that a container that shrinks keeps its
// package.
func TestUpdateToLessMemoryKeepsThePackage(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	c.Propose(command.PutPackage{Package: model.Package{Name: "tight", Memory: 100 << 20, Swap: 20 << 20, Active: true}})
	pull(t, c, a)
	r := request("web")
	r.Spec.Labels = map[string]string{model.LabelPackage: "tight"}
	create(t, c, a, r)
	less := func(l *model.Limits) error { l.Memory = 50 << 20; return nil }
	if _, err := c.Containers.Update(ctx, a, "web", less, nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Containers.Get(ctx, a, "web"); got.Package != "tight" || got.Spec.Limits.MemorySwap != 70<<20 {
		t.Errorf("package %s, limits %+v", got.Package, got.Spec.Limits)
	}
	promised(t, c)
}

// An account whose processors are limited cannot take the limit of a container
// off after it was made.
func TestUpdateKeepsALimitOfProcessorsWhereTheAccountHasOne(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("free"))
	c.Propose(command.SetAccountLimits{AccountID: a.ID, Limits: model.AccountLimits{CPU: 1000}})
	a, _ = c.Store.View().Account(a.ID)
	r := request("web")
	r.Spec.Limits.CPUQuota = 50_000
	create(t, c, a, r)
	_, err := c.Containers.Update(ctx, a, "web", func(l *model.Limits) error { l.CPUQuota = 0; return nil }, nil)
	wantKind(t, err, model.KindExhausted, "Quota exceeded: this account may use 1 CPUs, and the container would have no limit of its own")
	if got, _ := c.Containers.Get(ctx, a, "web"); got.Spec.Limits.CPU() != 500 {
		t.Errorf("the container has %d thousandths of a core", got.Spec.Limits.CPU())
	}
	if _, err := c.Containers.Update(ctx, a, "free", memory(64<<20), nil); err != nil {
		t.Errorf("one that was made before: %v", err)
	}
	promised(t, c)
}

func TestUpdateIsRefusedForGoodReasons(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	c.AddNode("node-1", func(i *model.NodeInfo) { i.Capacity.Memory = 512 << 20 })
	pull(t, c, a)
	create(t, c, a, request("web"))
	gone := request("gone")
	gone.Spec.AutoRemove = true
	create(t, c, a, gone)
	set := func(f func(*model.Limits)) func(*model.Limits) error {
		return func(l *model.Limits) error { f(l); return nil }
	}
	for _, tc := range []struct {
		name, ref string
		change    func(*model.Limits) error
		restart   *model.RestartPolicy
		kind      model.Kind
		text      string
	}{
		{"unknown", "db", memory(1 << 30), nil, model.KindNotFound, "No such container: db"},
		{"the change's own error", "web", func(*model.Limits) error { return model.Errorf(model.KindInvalid, "no") }, nil, model.KindInvalid, "no"},
		{"swap below memory", "web", set(func(l *model.Limits) { l.Memory = 300 << 20 }), nil, model.KindInvalid,
			"Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"},
		{"reservation above memory", "web", set(func(l *model.Limits) { l.MemoryReservation = 300 << 20 }), nil, model.KindInvalid,
			"Minimum memory limit can not be less than memory reservation limit, see usage"},
		{"more than the node has", "web", memory(500 << 20), nil, model.KindExhausted, "not enough memory"},
		{"more than any package", "web", memory(8 << 30), nil, model.KindInvalid, "no package supports"},
		{"what policy forbids", "web", set(func(l *model.Limits) { l.CpusetCpus, l.MemorySwap = "0", -1 }), nil, model.KindForbidden, "HostConfig.CpusetCpus"},
		{"restart of one that removes itself", "gone", nil, &model.RestartPolicy{Name: "always"}, model.KindInvalid,
			"Restart policy cannot be updated because AutoRemove is enabled for the container"},
	} {
		_, err := c.Containers.Update(ctx, a, tc.ref, tc.change, tc.restart)
		t.Log(tc.name)
		wantKind(t, err, tc.kind, tc.text)
	}
	if got, _ := c.Containers.Get(ctx, a, "web"); got.Spec.Limits.Memory != 128<<20 || got.Package != "small" {
		t.Errorf("limits are %+v, package %s", got.Spec.Limits, got.Package)
	}
	promised(t, c)
}

func TestUpdatesAtOnceAreAllCarriedOut(t *testing.T) {
	t.Parallel()
	const updates = 20
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := request("web")
	r.Spec.Limits.CPUShares = 100
	create(t, c, a, r)
	var all sync.WaitGroup
	for range updates {
		all.Go(func() {
			_, err := c.Containers.Update(ctx, a, "web", func(l *model.Limits) error {
				l.CPUShares++
				l.Memory += 1 << 20
				return nil
			}, nil)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, _ := c.Containers.Get(ctx, a, "web")
	if got.Spec.Limits.CPUShares != 100+updates || got.Reserved.Memory != (128+updates)<<20 {
		t.Errorf("after %d updates: limits %+v, reserved %+v", updates, got.Spec.Limits, got.Reserved)
	}
	promised(t, c)
}

func TestUpdatesNeverPromiseMoreThanTheNodeHas(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	c.AddNode("node-1", func(i *model.NodeInfo) { i.Capacity.Memory = 1 << 30 })
	pull(t, c, a)
	names := []string{"a1", "b1", "c1", "d1"}
	for _, name := range names {
		create(t, c, a, request(name))
	}
	var all sync.WaitGroup
	for _, name := range names {
		for _, size := range []int64{500 << 20, 400 << 20, 64 << 20} {
			all.Go(func() {
				_, err := c.Containers.Update(ctx, a, name, memory(size), nil)
				if err != nil && !model.IsKind(err, model.KindExhausted) {
					t.Error(err)
				}
				if got := c.Store.View().Promised(c.Store.View().Nodes()[0].ID); got.Memory > 1<<30 {
					t.Errorf("the node has promised %d bytes", got.Memory)
				}
			})
		}
	}
	all.Wait()
	promised(t, c)
}

func TestUpdateThatTheNodeRefusesGivesBack(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	c.Agent("node-1").FailUpdate(model.Errorf(model.KindInvalid, "the kernel does not like it"))
	_, err := c.Containers.Update(ctx, a, "web", memory(512<<20), nil)
	wantKind(t, err, model.KindInvalid, "the kernel does not like it")
	promised(t, c)
	c.Agent("node-1").FailUpdate(nil)
	if _, err := c.Containers.Update(ctx, a, "web", memory(256<<20), nil); err != nil {
		t.Error(err)
	}
	promised(t, c)
}

package containers_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

func TestPrune(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a, other := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, a)
	pull(t, c, other)
	create(t, c, other, request("theirs"))
	var want []string
	for _, name := range []string{"created", "exited", "running", "paused", "kept"} {
		r := request(name)
		r.Spec.Labels = map[string]string{"keep": map[bool]string{true: "yes"}[name == "kept"]}
		m := create(t, c, a, r)
		if name == "created" || name == "exited" {
			want = append(want, m.ID)
		}
	}
	for _, name := range []string{"exited", "running", "paused"} {
		if err := c.Containers.Start(ctx, a, name); err != nil {
			t.Fatal(err)
		}
	}
	exited, _ := c.Containers.Get(ctx, a, "exited")
	c.Agent("node-1").Exit(exited.ID, 0)
	if err := c.Containers.Pause(ctx, a, "paused"); err != nil {
		t.Fatal(err)
	}
	c.Until("the end is known", func() bool {
		got, _ := c.Containers.Get(ctx, a, "exited")
		return got.State.Status == model.StatusExited
	})
	removed, reclaimed, err := c.Containers.Prune(ctx, a, func(m *model.Container) bool { return m.Spec.Labels["keep"] == "" })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(removed)
	slices.Sort(want)
	if diff := cmp.Diff(want, removed); diff != "" || reclaimed != 20 {
		t.Errorf("reclaimed %d; %s", reclaimed, diff)
	}
	if left, _, _ := c.Containers.List(ctx, a); len(left) != 3 {
		t.Errorf("%d containers are left, want 3", len(left))
	}
	if left, _, _ := c.Containers.List(ctx, other); len(left) != 1 {
		t.Error("another account's container was removed")
	}
	events := c.Store.View().Events(0, 0)
	if last := events[len(events)-1]; last.Type != "container" || last.Action != "prune" || last.Attributes["reclaimed"] != "20" || last.AccountID != a.ID {
		t.Errorf("the last event is %+v", last)
	}
}

func TestPruneTakesNoContainerThatStartsMeanwhile(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	const count = 20
	for range count {
		create(t, c, a, request(""))
	}
	list, _, _ := c.Containers.List(ctx, a)
	started := map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, m := range list {
		all.Go(func() {
			if c.Containers.Start(ctx, a, m.ID) == nil {
				mu.Lock()
				defer mu.Unlock()
				started[m.ID] = true
			}
		})
	}
	removed, _, err := c.Containers.Prune(ctx, a, func(*model.Container) bool { return true })
	all.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range removed {
		if started[id] {
			t.Errorf("container %s was started and removed", id)
		}
	}
	if left, _, _ := c.Containers.List(ctx, a); len(left)+len(removed) != count {
		t.Errorf("%d are left and %d removed of %d", len(left), len(removed), count)
	}
}

func TestRemovalOfWhatRunsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	if err := c.Containers.Start(ctx, a, "web"); err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Pause(ctx, a, "web"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.Containers.Remove(ctx, a, "web", removal(false)), model.KindConflict, "container is paused and must be unpaused first")
	wantKind(t, c.Containers.Pause(ctx, a, "web"), model.KindConflict)
	if err := c.Containers.Unpause(ctx, a, "web"); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Containers.Get(ctx, a, "web"); got.State.Status != model.StatusRunning {
		t.Errorf("status %s", got.State.Status)
	}
	if err := c.Containers.Pause(ctx, a, "web"); err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Remove(ctx, a, "web", removal(true)); err != nil {
		t.Errorf("a paused container cannot be removed by force: %v", err)
	}
}

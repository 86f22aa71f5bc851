package containers_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

func pull(t *testing.T, c *headtest.Center, a model.Account) {
	t.Helper()
	_, err := c.Images.Pull(headtest.Context(t), a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {})
	if err != nil {
		t.Fatal(err)
	}
}

func request(name string) model.CreateContainer {
	return model.CreateContainer{Name: name, Spec: model.ContainerSpec{Image: "busybox"}}
}

func create(t *testing.T, c *headtest.Center, a model.Account, r model.CreateContainer) model.Container {
	t.Helper()
	made, _, err := c.Containers.Create(headtest.Context(t), a, r)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func wantKind(t *testing.T, err error, kind model.Kind, parts ...string) {
	t.Helper()
	if !model.IsKind(err, kind) {
		t.Fatalf("got error %v of kind %s, want kind %s", err, model.KindOf(err), kind)
	}
	for _, p := range parts {
		if !strings.Contains(model.UserText(err), p) {
			t.Errorf("text %q lacks %q", model.UserText(err), p)
		}
	}
}

func TestLifeOfAContainer(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	_, _, err := c.Containers.Create(ctx, a, request("web"))
	wantKind(t, err, model.KindNotFound, "No such image: busybox:latest")
	pull(t, c, a)
	made := create(t, c, a, request("web"))
	if made.Phase != model.PhaseCreated || made.State.Status != model.StatusCreated {
		t.Fatalf("created container shows phase %s, status %s", made.Phase, made.State.Status)
	}
	if got := made.NICs[0].Address.String(); got != "10.88.0.2/16" {
		t.Errorf("first address is %s", got)
	}
	if diff := cmp.Diff([]string{"sh"}, made.Spec.Args()); diff != "" {
		t.Error(diff)
	}
	if made.Spec.Hostname != model.ShortID(made.ID) || made.Package != "small" || made.Spec.Limits.Memory != 128<<20 {
		t.Errorf("unexpected hostname %s, package %s, limits %+v", made.Spec.Hostname, made.Package, made.Spec.Limits)
	}
	if err := c.Containers.Start(ctx, a, "web"); err != nil {
		t.Fatal(err)
	}
	got, err := c.Containers.Get(ctx, a, made.ID[:7])
	if err != nil || got.State.Status != model.StatusRunning {
		t.Fatalf("after start: status %s, error %v", got.State.Status, err)
	}
	wantKind(t, c.Containers.Start(ctx, a, "web"), model.KindNotModified)
	wantKind(t, c.Containers.Remove(ctx, a, "web", wire.RemoveRequest{}), model.KindConflict,
		`cannot remove container "/web": container is running: stop the container before removing or force remove`)
	if err := c.Containers.Rename(ctx, a, "web", "shop"); err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Remove(ctx, a, "shop", wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	_, err = c.Containers.Get(ctx, a, "shop")
	wantKind(t, err, model.KindNotFound, "No such container: shop")
	if c.Agent("node-1").Has(made.ID) {
		t.Error("the node still has the removed container")
	}
}

func TestP14AccountsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx := headtest.Context(t)
	jill, jack := c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, jill)
	web := create(t, c, jill, request("web"))
	for _, ref := range []string{"web", web.ID, web.ID[:12]} {
		_, err := c.Containers.Get(ctx, jack, ref)
		wantKind(t, err, model.KindNotFound, "No such container: "+ref)
		wantKind(t, c.Containers.Start(ctx, jack, ref), model.KindNotFound)
	}
	list, _, err := c.Containers.List(ctx, jack)
	if err != nil || len(list) != 0 {
		t.Errorf("jack lists %d containers, error %v", len(list), err)
	}
	_, err = c.Images.Get(ctx, jack, "busybox")
	wantKind(t, err, model.KindNotFound)
	_, _, err = c.Containers.Create(ctx, jack, request("web"))
	wantKind(t, err, model.KindNotFound, "No such image")

	if err := c.Containers.Start(ctx, jill, "web"); err != nil {
		t.Fatal(err)
	}
	exec, err := c.Containers.CreateExec(ctx, jill, "web", wire.ExecSpec{Args: []string{"ls"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Containers.InspectExec(ctx, jack, exec)
	wantKind(t, err, model.KindNotFound, "No such exec instance: "+exec)
	if _, err := c.Containers.InspectExec(ctx, jill, exec); err != nil {
		t.Errorf("the owner's exec: %v", err)
	}
}

func TestParallelCreates(t *testing.T) {
	t.Parallel()
	const count = 100
	c := headtest.New(t, 3)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	for _, n := range []string{"node-2", "node-3"} { // all nodes can pull it by digest
		c.Agent(n).Publish("docker.io/library/busybox@"+headtest.Image("busybox").Digest, headtest.Image("busybox"))
	}
	c.Agent("node-1").Publish("docker.io/library/busybox@"+headtest.Image("busybox").Digest, headtest.Image("busybox"))
	made := make([]model.Container, count)
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			var err error
			if made[i], _, err = c.Containers.Create(headtest.Context(t), a, request("")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	names, addresses, perNode := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, m := range made {
		if len(m.NICs) == 0 {
			continue
		}
		names[m.Name], addresses[m.NICs[0].Address.String()] = true, true
		perNode[m.NodeID]++
	}
	if len(names) != count || len(addresses) != count {
		t.Errorf("%d names and %d addresses for %d containers", len(names), len(addresses), count)
	}
	for id, n := range perNode {
		if n < count/3 || n > count/3+1 {
			t.Errorf("node %s got %d of %d containers", id, n, count)
		}
	}
}

func TestCapacityIsNeverExceeded(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	a := c.Account("jill", model.PolicyTenant)
	c.AddNode("node-1", func(i *model.NodeInfo) { i.Capacity.Memory = 10 * 128 << 20 })
	pull(t, c, a)
	good, refused := createAtOnce(t, c, a, 30, "1 lacks memory")
	if good != 10 || refused != 20 {
		t.Errorf("%d created and %d refused, want 10 and 20", good, refused)
	}
}

// createAtOnce asks for count containers at the same moment and returns how many
// there are, and how many were refused with the text because something was
// exhausted.
func createAtOnce(t *testing.T, c *headtest.Center, a model.Account, count int, text string) (good, refused int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			_, _, err := c.Containers.Create(headtest.Context(t), a, request(""))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				good++
			case model.IsKind(err, model.KindExhausted) && strings.Contains(err.Error(), text):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	return good, refused
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	c.Agent("node-1").FailCreate(model.Errorf(model.KindInvalid, "the node does not like it"))
	_, _, err := c.Containers.Create(ctx, a, request("web"))
	wantKind(t, err, model.KindInvalid, "the node does not like it")
	if left := c.Store.View().AllContainers(); len(left) != 0 {
		t.Errorf("%d containers are left in the state", len(left))
	}
	c.Agent("node-1").FailCreate(nil)
	create(t, c, a, request("web"))
}

func TestRepeatedOperationMakesOneContainer(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := request("")
	r.Operation = "op-1"
	ids := make([]string, 8)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			m, _, err := c.Containers.Create(headtest.Context(t), a, r)
			if err != nil {
				t.Error(err)
			}
			ids[i] = m.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one operation made %s and %s", ids[0], id)
		}
	}
	if n := len(c.Store.View().AllContainers()); n != 1 {
		t.Errorf("%d containers exist", n)
	}
}

func TestNameConflictIsInDockersWords(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	first := create(t, c, a, request("web"))
	_, _, err := c.Containers.Create(headtest.Context(t), a, request("web"))
	wantKind(t, err, model.KindConflict, `The container name "/web" is already in use by container`, first.ID)
}

func TestPolicyAndUnsupportedAreToldCompletely(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	r := request("web")
	r.Spec.Privileged, r.Spec.PidMode = true, "host"
	r.Unsupported = []string{"HostConfig.Links", "Healthcheck"}
	_, _, err := c.Containers.Create(ctx, a, r)
	wantKind(t, err, model.KindForbidden, "HostConfig.Privileged", "HostConfig.PidMode")
	r.Spec.Privileged, r.Spec.PidMode = false, ""
	_, _, err = c.Containers.Create(ctx, a, r)
	wantKind(t, err, model.KindNotImplemented, "HostConfig.Links", "Healthcheck")
}

func TestWait(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	for _, tc := range []struct {
		name       string
		cond       dockerapi.WaitCondition
		autoRemove bool
		before     bool // registered before the start
	}{
		{"next-exit before start", dockerapi.WaitNextExit, false, true},
		{"removed with auto-remove", dockerapi.WaitRemoved, true, true},
		{"next-exit with auto-remove", dockerapi.WaitNextExit, true, true},
		{"not-running while running", dockerapi.WaitNotRunning, false, false},
		{"not-running with auto-remove", dockerapi.WaitNotRunning, true, false},
	} {
		r := request("")
		r.Spec.AutoRemove = tc.autoRemove
		m := create(t, c, a, r)
		start := func() {
			if err := c.Containers.Start(ctx, a, m.ID); err != nil {
				t.Fatal(err)
			}
		}
		if !tc.before {
			start()
		}
		registered, result := make(chan struct{}), make(chan dockerapi.WaitResult, 1)
		go func() {
			res, err := c.Containers.Wait(ctx, a, m.ID, tc.cond, func() { close(registered) })
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			result <- res
		}()
		<-registered
		if tc.before {
			start()
		}
		c.Agent("node-1").Exit(m.ID, 42)
		if got := <-result; got.ExitCode != 42 {
			t.Errorf("%s: exit code %d, want 42", tc.name, got.ExitCode)
		}
	}
}

func TestWaitSeesTheExitOfAContainerThatRunsAgain(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	m := create(t, c, a, request("web"))
	if err := c.Containers.Start(ctx, a, "web"); err != nil {
		t.Fatal(err)
	}
	registered, result := make(chan struct{}), make(chan dockerapi.WaitResult, 1)
	go func() {
		res, err := c.Containers.Wait(ctx, a, "web", dockerapi.WaitNextExit, func() { close(registered) })
		if err != nil {
			t.Error(err)
		}
		result <- res
	}()
	<-registered
	c.Agent("node-1").Exit(m.ID, 42)
	if _, err := c.Agent("node-1").Start(ctx, m.ID); err != nil {
		t.Fatal(err)
	}
	if got := <-result; got.ExitCode != 42 {
		t.Errorf("exit code %d, want 42", got.ExitCode)
	}
}

func TestUnreachableNodeIsSaid(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	c.Agent("node-1").Cut(true)
	c.Until("the node is lost", func() bool { return !c.Nodes.Connected(c.Store.View().Nodes()[0].ID) })
	wantKind(t, c.Containers.Start(ctx, a, "web"), model.KindUnavailable, "cannot be reached")
	_, _, err := c.Containers.Create(ctx, a, request("db"))
	wantKind(t, err, model.KindExhausted, "1 is not connected")
	if _, err := c.Containers.Get(ctx, a, "web"); err != nil {
		t.Errorf("the last known state is gone: %v", err)
	}
	c.Agent("node-1").Cut(false)
	c.Connected("node-1")
	if err := c.Containers.Start(ctx, a, "web"); err != nil {
		t.Error(err)
	}
}

func TestStreamLimit(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	var open []wire.Stream
	for range 64 {
		s, err := c.Containers.Attach(ctx, a, "web", wire.AttachRequest{})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	_, err := c.Containers.Attach(ctx, a, "web", wire.AttachRequest{})
	wantKind(t, err, model.KindExhausted, "64 streams")
	open[0].Close()
	open[0].Close() // gives back one place, not two
	if _, err := c.Containers.Attach(ctx, a, "web", wire.AttachRequest{}); err != nil {
		t.Errorf("a stream was closed, and yet: %v", err)
	}
	_, err = c.Containers.Attach(ctx, a, "web", wire.AttachRequest{})
	wantKind(t, err, model.KindExhausted)
}

func TestSharedNamespaceBindsToNode(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx := headtest.Context(t)
	jill, jack := c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, jill)
	pull(t, c, jack)
	for _, n := range []string{"node-1", "node-2"} {
		c.Agent(n).Publish("docker.io/library/busybox@"+headtest.Image("busybox").Digest, headtest.Image("busybox"))
	}
	first := create(t, c, jill, request("first"))
	r := request("second")
	r.Spec.Network = "container:first"
	second := create(t, c, jill, r)
	if second.NodeID != first.NodeID || second.Spec.Network != "container:"+first.ID || len(second.NICs) != 0 {
		t.Errorf("second is on %s with network %s and %d NICs", second.NodeID, second.Spec.Network, len(second.NICs))
	}
	_, _, err := c.Containers.Create(ctx, jack, r)
	wantKind(t, err, model.KindInvalid, "No such container: first")
}

func TestPackages(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := request("")
	r.Spec.Limits.Memory = 512 << 20
	if m := create(t, c, a, r); m.Package != "large" || m.Reserved.Memory != 512<<20 || m.Spec.Limits.CPUQuota != 200_000 {
		t.Errorf("-m 512m: package %s, reserved %+v, limits %+v", m.Package, m.Reserved, m.Spec.Limits)
	}
	r.Spec.Limits.Memory = 4 << 30
	_, _, err := c.Containers.Create(ctx, a, r)
	wantKind(t, err, model.KindInvalid, "memory=4294967296")
	r = request("")
	r.Spec.Labels = map[string]string{"com.joyent.package": "large"}
	if m := create(t, c, a, r); m.Package != "large" || m.Spec.Labels["maker"] != "tests" {
		t.Errorf("by label: package %s, labels %v", m.Package, m.Spec.Labels)
	}
	r.Spec.Labels["com.joyent.package"] = "huge"
	_, _, err = c.Containers.Create(ctx, a, r)
	wantKind(t, err, model.KindInvalid, `no package "huge"`)
}

func TestCancelledCreateIsUndone(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	ctx, cancel := context.WithCancel(headtest.Context(t))
	cancel()
	_, _, err := c.Containers.Create(ctx, a, request("web"))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if left := c.Store.View().AllContainers(); len(left) != 0 {
		t.Errorf("%d containers are left", len(left))
	}
}

func TestReservedContainerIsNotThereYet(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	node := c.Store.View().Nodes()[0]
	id := model.NewID()
	c.Propose(command.ReserveContainer{Container: model.Container{
		ID: id, Name: "web", AccountID: a.ID, NodeID: node.ID, Phase: model.PhaseReserved, Operation: "x",
		State: model.ContainerState{Status: model.StatusCreated},
	}})
	for _, ref := range []string{id, "web", id[:8]} {
		_, err := c.Containers.Get(ctx, a, ref)
		wantKind(t, err, model.KindNotFound)
	}
	if list, _, _ := c.Containers.List(ctx, a); len(list) != 0 {
		t.Errorf("the list shows %d", len(list))
	}
}

func TestExecTerminalHasTheSizeOfItsStartOrElseOfItsCreation(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	if err := c.Containers.Start(ctx, a, "web"); err != nil {
		t.Fatal(err)
	}
	created, started := &wire.TerminalSize{Rows: 1, Columns: 2}, &wire.TerminalSize{Rows: 3, Columns: 4}
	for _, size := range []*wire.TerminalSize{nil, started} {
		id, err := c.Containers.CreateExec(ctx, a, "web", wire.ExecSpec{Args: []string{"sh"}, Tty: true, ConsoleSize: created})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := c.Containers.StartExec(ctx, a, id, wire.ExecStartRequest{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		stream.Close()
		want := created
		if size != nil {
			want = size
		}
		got, err := c.Containers.InspectExec(ctx, a, id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Spec.ConsoleSize); diff != "" {
			t.Error(diff)
		}
	}
}

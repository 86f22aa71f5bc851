package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is an agent on a kernel.
type node struct {
	*agent.Agent
	kernel *kerneltest.Kernel
	dir    string
}

// open starts an agent on a kernel with the records in dir and what change
// makes of its options.
func open(t testing.TB, k *kerneltest.Kernel, life *kerneltest.Life, dir string, change ...func(*agent.Options)) *node {
	t.Helper()
	o := agent.Options{
		NodeID: wiretest.NodeID, StateDir: dir, RunDir: filepath.Join(dir, "run"),
		Drivers: k.Drivers(life), Logger: slog.New(slog.DiscardHandler), ExitGrace: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	a, err := agent.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return &node{a, k, dir}
}

// fresh starts an agent on a kernel of its own.
func fresh(t testing.TB, change ...func(*agent.Options)) *node {
	t.Helper()
	n := open(t, kerneltest.New(), nil, t.TempDir(), change...)
	t.Cleanup(func() {
		n.Close()
		n.kernel.Shutdown()
	})
	return n
}

func TestContract(t *testing.T) {
	wiretest.Run(t, func(t *testing.T) wire.Agent { return fresh(t) })
}

// must returns a function that takes the answer of a call and fails the test
// if it is an error.
func must(t testing.TB) func(wire.Ack, error) wire.Ack {
	return func(ack wire.Ack, err error) wire.Ack {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return ack
	}
}

// waitFor follows the journal until an entry satisfies cond.
func waitFor(t testing.TB, a wire.Agent, cond func(model.JournalEntry) bool) []model.JournalEntry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := a.Journal(ctx, wire.Ack{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []model.JournalEntry
	for {
		batch, err := s.Next()
		if err != nil {
			t.Fatalf("waiting for an entry after %v: %v", actions(all), err)
		}
		for _, e := range batch {
			if all = append(all, e); cond(e) {
				return all
			}
		}
	}
}

func action(name string) func(model.JournalEntry) bool {
	return func(e model.JournalEntry) bool { return e.Action == name }
}

func actions(entries []model.JournalEntry) (names []string) {
	for _, e := range entries {
		names = append(names, e.Action)
	}
	return names
}

func wantNothingHeld(t testing.TB, k *kerneltest.Kernel) {
	t.Helper()
	if held := k.Holds(); len(held) > 0 {
		t.Errorf("leaked: %v", held)
	}
	if v := k.Violations(); len(v) > 0 {
		t.Errorf("the drivers were misused: %v", v)
	}
}

func TestContainerRunsOnWhileTheAgentIsReplaced(t *testing.T) {
	t.Parallel()
	k, dir := kerneltest.New(), t.TempDir()
	defer k.Shutdown()
	first := open(t, k, nil, dir)
	r := wiretest.Request()
	id := r.Container.ID
	must(t)(first.Create(t.Context(), r))
	before := must(t)(first.Start(t.Context(), id))
	pid := k.Pid(id)
	first.Close()

	again := open(t, k, nil, dir)
	if k.Pid(id) != pid {
		t.Errorf("process %d became %d", pid, k.Pid(id))
	}
	all, _ := again.Containers(t.Context())
	if len(all) != 1 || all[0].State.Status != model.StatusRunning || all[0].State.Pid != pid {
		t.Errorf("the agent took over %+v", all)
	}
	if _, err := again.Start(t.Context(), id); !model.IsKind(err, model.KindNotModified) {
		t.Errorf("starting a container that runs: %v", err)
	}
	again.Close()

	k.End(id) // while no agent is there
	third := open(t, k, nil, dir)
	defer third.Close()
	entries := waitFor(t, third, action("die"))
	if die := entries[len(entries)-1]; die.Attributes["exitCode"] != "136" || die.State.ExitUnknown || die.Seq <= before.Seq {
		t.Errorf("the end that nobody saw is told as %+v", die)
	}
	must(t)(third.Remove(t.Context(), id, wire.RemoveRequest{}))
	wantNothingHeld(t, k)
}

// second is the error of a call.
func second(_ wire.Ack, err error) error { return err }

// TestRebootRestartsByPolicy ends everything without anybody seeing it.
func TestRebootRestartsByPolicy(t *testing.T) {
	t.Parallel()
	k, dir := kerneltest.New(), t.TempDir()
	defer k.Shutdown()
	first := open(t, k, nil, dir)
	ids := make(map[string]string)
	for _, policy := range []string{"no", "always", "unless-stopped", "on-failure"} {
		r := wiretest.Request()
		r.Container.Spec.Restart.Name = policy
		ids[policy] = r.Container.ID
		must(t)(first.Create(t.Context(), r))
		must(t)(first.Start(t.Context(), r.Container.ID))
	}
	stopped := wiretest.Request()
	stopped.Container.Spec.Restart.Name = "always"
	must(t)(first.Create(t.Context(), stopped))
	must(t)(first.Start(t.Context(), stopped.Container.ID))
	must(t)(first.Stop(t.Context(), stopped.Container.ID, wire.StopRequest{}))
	first.Close()
	k.Reboot()

	again := open(t, k, nil, dir)
	defer again.Close()
	waitFor(t, again, func(e model.JournalEntry) bool {
		return e.Action == "start" && e.State.RestartCount == 1 && e.ContainerID == ids["on-failure"]
	})
	all, _ := again.Containers(t.Context())
	for _, c := range all {
		switch c.ID {
		case ids["no"]:
			if c.State.Status != model.StatusExited || c.State.ExitCode != 255 || !c.State.ExitUnknown || c.State.Error == "" {
				t.Errorf("without a policy the container is %+v, want its end unknown", c.State)
			}
		case stopped.Container.ID:
			if c.State.Status != model.StatusExited || c.State.ExitCode != 143 {
				t.Errorf("the stopped container is %+v", c.State)
			}
		}
	}
	for _, policy := range []string{"always", "unless-stopped"} {
		waitFor(t, again, func(e model.JournalEntry) bool {
			return e.Action == "start" && e.ContainerID == ids[policy] && e.State.RestartCount == 1
		})
	}
	for _, c := range all {
		must(t)(again.Remove(t.Context(), c.ID, wire.RemoveRequest{Force: true}))
	}
	wantNothingHeld(t, k)
}

func TestFailedStartLeavesNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	r := wiretest.Request()
	r.Container.Spec.Cmd = []string{"missing"}
	id := r.Container.ID
	must(t)(n.Create(t.Context(), r))
	before := n.kernel.Holds()
	_, err := n.Start(t.Context(), id)
	if !model.IsKind(err, model.KindInvalid) || model.UserText(err) != `failed to create task for container: exec: "missing": executable file not found in $PATH` {
		t.Errorf("the start said %v", err)
	}
	all, _ := n.Containers(t.Context())
	if s := all[0].State; s.ExitCode != 127 || s.Status != model.StatusCreated || s.Error == "" {
		t.Errorf("after the failed start the container is %+v", s)
	}
	if diff := cmp.Diff(before, n.kernel.Holds()); diff != "" {
		t.Errorf("the failed start left something (-before +after):\n%s", diff)
	}
	r.Container.ID = model.NewID()
	r.Container.Spec.AutoRemove = true
	must(t)(n.Create(t.Context(), r))
	if _, err := n.Start(t.Context(), r.Container.ID); err == nil {
		t.Error("a missing executable was started")
	}
	waitFor(t, n, func(e model.JournalEntry) bool { return e.Action == "destroy" && e.ContainerID == r.Container.ID })
	must(t)(n.Remove(t.Context(), id, wire.RemoveRequest{}))
	wantNothingHeld(t, n.kernel)
}

// TestEveryStepMayFail lets each step of a life fail once: what was asked for
// then fails and leaves nothing, or is done all the same, and works when it is
// asked for again.
func TestEveryStepMayFail(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"prepare", "register", "mount", "attach", "start", "signal", "ack", "clean", "detach", "unmount", "remove-root", "unregister", "commit"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			k, life := kerneltest.New(), kerneltest.NewLife(0)
			defer k.Shutdown()
			n := open(t, k, life, t.TempDir())
			defer n.Close()
			n.WrapRecords(func(r task.Records) task.Records { return &mortalRecords{r, life} })
			r := wiretest.Request()
			r.Container.NICs = []model.NIC{{NetworkID: "n", Interface: "eth0"}}
			id := r.Container.ID
			broken := fmt.Errorf("this %s is broken", step)
			retry := func(f func() error) {
				t.Helper()
				life.FailOnce(step, broken)
				if f() == nil {
					return
				}
				if err := f(); err != nil && !model.IsKind(err, model.KindNotModified) {
					t.Fatal(err)
				}
			}
			retry(func() error { return second(n.Create(t.Context(), r)) })
			retry(func() error { return second(n.Start(t.Context(), id)) })
			retry(func() error { return second(n.Stop(t.Context(), id, wire.StopRequest{})) })
			retry(func() error { return second(n.Start(t.Context(), id)) })
			retry(func() error { return second(n.Remove(t.Context(), id, wire.RemoveRequest{Force: true})) })
			waitFor(t, n, action("destroy"))
			wantNothingHeld(t, k)
		})
	}
}

// TestCreatedAgainAfterAFailure asks again at once, as a head does: the second
// creation may meet what is left of the first one.
func TestCreatedAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	k, life := kerneltest.New(), kerneltest.NewLife(0)
	defer k.Shutdown()
	n := open(t, k, life, t.TempDir())
	defer n.Close()
	for range 300 {
		r := wiretest.Request()
		life.FailOnce("register", errors.New("this registration is broken"))
		if _, err := n.Create(t.Context(), r); err == nil {
			t.Fatal("a container was created that could not be registered")
		}
		must(t)(n.Create(t.Context(), r))
		must(t)(n.Remove(t.Context(), r.Container.ID, wire.RemoveRequest{}))
		must(t)(n.Create(t.Context(), r))
		must(t)(n.Remove(t.Context(), r.Container.ID, wire.RemoveRequest{}))
	}
	wantNothingHeld(t, k)
}

// mortalRecords are records whose commits are steps of a life.
type mortalRecords struct {
	task.Records
	life *kerneltest.Life
}

func (r *mortalRecords) Commit(ctx context.Context, c state.Change) (ack wire.Ack, err error) {
	err = r.life.Step("commit", func() (err error) {
		ack, err = r.Records.Commit(ctx, c)
		return err
	})
	return ack, err
}

// TestKilledAtEveryStep ends the agent before and after each step that it
// takes in the life of a container. The next agent must find everything, and
// leave nothing when the container is removed.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for killAt := 1; ; killAt++ {
		if killAt > 500 {
			t.Fatal("the life of a container has no end")
		}
		if finished := killedAt(t, killAt); finished {
			t.Logf("a life has %d places to die at", killAt-1)
			return
		}
		if t.Failed() {
			return
		}
	}
}

// killedAt runs a life with the agent dying at one step, and judges the next
// agent. It reports whether the life ended before that step.
func killedAt(t *testing.T, killAt int) (finished bool) {
	k, life, dir := kerneltest.New(), kerneltest.NewLife(killAt), t.TempDir()
	defer k.Shutdown()
	n := open(t, k, life, dir)
	n.mortal(life)
	r := wiretest.Request()
	r.Container.NICs, r.Container.Spec.Network = []model.NIC{{NetworkID: "n", Interface: "eth0"}}, ""
	r.Container.Spec.Mounts = []model.Mount{{Type: model.MountVolume, VolumeID: "v", Target: "/data"}}
	r.Volumes = []wire.VolumeRef{{ID: "v"}}
	id := r.Container.ID

	ctx, cancel := context.WithCancel(t.Context())
	var acked sync.Map // names of commands that were answered
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, command := range []struct {
			name string
			run  func() error
		}{
			{"create", func() error { return second(n.Create(ctx, r)) }},
			{"start", func() error { return second(n.Start(ctx, id)) }},
			{"pause", func() error { return second(n.Pause(ctx, id)) }},
			{"unpause", func() error { return second(n.Unpause(ctx, id)) }},
			{"update", func() error {
				return second(n.Update(ctx, id, model.ContainerUpdate{Limits: &model.Limits{Memory: 1}}))
			}},
			{"connect", func() error {
				return second(n.Connect(ctx, id, wire.ConnectRequest{NIC: model.NIC{NetworkID: "m", Interface: "eth1"}, Network: model.Network{ID: "m"}}))
			}},
			{"disconnect", func() error { return second(n.Disconnect(ctx, id, wire.DisconnectRequest{NetworkID: "n"})) }},
			{"pause again", func() error { return second(n.Pause(ctx, id)) }},
			{"stop", func() error { return second(n.Stop(ctx, id, wire.StopRequest{})) }},
			{"start again", func() error { return second(n.Start(ctx, id)) }},
			{"end", func() error { return life.Step("end", func() error { k.End(id); return nil }) }},
			{"restart", func() error { return second(n.Restart(ctx, id, wire.StopRequest{})) }},
			{"remove", func() error { return second(n.Remove(ctx, id, wire.RemoveRequest{Force: true})) }},
		} {
			if command.run() != nil {
				return
			}
			acked.Store(command.name, true)
		}
	}()
	select {
	case <-done:
	case <-life.Dead():
	}
	_, finished = acked.Load("remove")

	// What a dead process leaves is its file as it is.
	copied := copyRecords(t, dir)
	judge(t, k, copied, killAt, id, &acked)
	if _, created := acked.Load("create"); created {
		if filled, there := k.HasVolume("v"); !filled || !there {
			t.Errorf("killed at step %d: the volume of a created container is there %t, filled %t", killAt, there, filled)
		}
	}
	cancel()
	life.Bury()
	<-done
	n.Close()
	return finished
}

// copyRecords returns a folder with a copy of the records in dir.
func copyRecords(t *testing.T, dir string) string {
	t.Helper()
	copied := t.TempDir()
	data, err := os.ReadFile(filepath.Join(dir, "agent.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, "agent.db"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

// judge opens an agent on what a dead one left.
func judge(t *testing.T, k *kerneltest.Kernel, dir string, killAt int, id string, acked *sync.Map) {
	t.Helper()
	pid := k.Pid(id)
	n := open(t, k, nil, dir)
	defer n.Close()
	now := k.Pid(id)
	if now != pid && pid != 0 && now != 0 {
		t.Errorf("killed at step %d: process %d became %d", killAt, pid, now)
	}
	if now == 0 && pid != 0 && !slices.Contains(actions(n.story(t)), "kill") {
		t.Errorf("killed at step %d: nobody asked for it, and process %d ended", killAt, pid)
	}
	pid = now
	all, _ := n.Containers(t.Context())
	_, created := acked.Load("create")
	_, removed := acked.Load("remove")
	switch {
	case removed && len(all) > 0:
		t.Errorf("killed at step %d: a removed container is back: %+v", killAt, all)
	case created && !removed && len(all) == 0:
		if !toldDestroyed(t, n) {
			t.Errorf("killed at step %d: a created container is lost", killAt)
		}
	case len(all) == 1 && pid != 0:
		wantAsTheKernel(t, n, killAt, id, all[0].State)
	case len(all) == 1 && pid == 0:
		wantToldOfEnd(t, n, killAt, id)
	}
	if len(all) == 0 {
		wantNothingHeld(t, k)
	}
	must(t)(n.Remove(t.Context(), id, wire.RemoveRequest{Force: true}))
	wantNothingHeld(t, k)
	wantStory(t, n, killAt)
}

// wantAsTheKernel checks what is said of a container that runs.
func wantAsTheKernel(t *testing.T, n *node, killAt int, id string, s model.ContainerState) {
	t.Helper()
	if diff := cmp.Diff(n.RecordedNetworks(t, id), n.kernel.Networks(id)); diff != "" {
		t.Errorf("killed at step %d: networks (-recorded +in the kernel):\n%s", killAt, diff)
	}
	status, memory := model.StatusRunning, int64(0)
	if n.kernel.Frozen(id) {
		status = model.StatusPaused
	}
	if slices.Contains(actions(n.story(t)), "update") {
		memory = 1
	}
	if s.Status != status {
		t.Errorf("killed at step %d: the agent says %s, the kernel says %s", killAt, s.Status, status)
	}
	if got := n.kernel.Limits(id).Memory; got != memory {
		t.Errorf("killed at step %d: the kernel's limit is %d, the journal's %d", killAt, got, memory)
	}
}

// wantToldOfEnd waits until the agent says that its only container does not
// run, or runs again because of a restart that was asked for: it may have been
// opened between an end and the news of it.
func wantToldOfEnd(t *testing.T, n *node, killAt int, id string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		all, _ := n.Containers(t.Context())
		if len(all) == 0 || all[0].State.Status != model.StatusRunning || n.kernel.Pid(id) == all[0].State.Pid {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Errorf("killed at step %d: the agent says running, the kernel has no process", killAt)
			return
		}
	}
}

func toldDestroyed(t *testing.T, n *node) bool {
	t.Helper()
	entries := n.story(t)
	return len(entries) > 0 && entries[len(entries)-1].Action == "destroy"
}

// story is the journal so far.
func (n *node) story(t *testing.T) []model.JournalEntry {
	t.Helper()
	s, err := n.Journal(t.Context(), wire.Ack{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	entries, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// wantStory checks that a journal tells a life that can have been: dense, with
// starts and ends in turn, and nothing after the removal.
func wantStory(t *testing.T, n *node, killAt int) {
	t.Helper()
	entries := n.story(t)
	running := false
	for i, e := range entries {
		bad := e.Seq != uint64(i)+1
		switch e.Action {
		case "start":
			bad = bad || running
			running = true
		case "die":
			bad = bad || !running || e.State.ExitUnknown
			running = false
		case "create":
			bad = bad || i != 0
		case "destroy":
			bad = bad || running || i != len(entries)-1
		}
		if bad {
			t.Errorf("killed at step %d: entry %d (%s) cannot be in %v", killAt, e.Seq, e.Action, actions(entries))
		}
	}
}

package agent_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// TestRebootFindsEachContainerInItsState has the machine stop with containers
// in every state of their lives.
func TestRebootFindsEachContainerInItsState(t *testing.T) {
	t.Parallel()
	type state struct {
		name   string
		policy string
		bring  func(t *testing.T, n *node, id string) // from running to the state
		want   model.Status
	}
	end := func(t *testing.T, n *node, id string) {
		n.kernel.End(id)
		synctest.Wait()
	}
	input := func(t *testing.T, n *node, id string) { // which ends it with 0
		s, err := n.Attach(t.Context(), id, wire.AttachRequest{Stdin: true, Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		s.CloseWrite()
		s.Close()
		synctest.Wait()
	}
	pause := func(t *testing.T, n *node, id string) { must(t)(n.Pause(t.Context(), id)) }
	stop := func(t *testing.T, n *node, id string) { must(t)(n.Stop(t.Context(), id, wire.StopRequest{})) }
	hangUp := wire.StopRequest{Signal: "HUP"} // which it ignores
	states := []state{
		{"no, running", "no", nil, model.StatusExited},
		{"no, paused", "no", pause, model.StatusExited},
		{"always, running", "always", nil, model.StatusRunning},
		{"always, paused", "always", pause, model.StatusRunning},
		{"always, stopped", "always", stop, model.StatusExited},
		{"always, waiting for its restart", "always", end, model.StatusRunning},
		{"unless-stopped, running", "unless-stopped", nil, model.StatusRunning},
		{"unless-stopped, stopped", "unless-stopped", stop, model.StatusExited},
		{"on-failure, running", "on-failure", nil, model.StatusRunning},
		{"on-failure, ended with 0", "on-failure", input, model.StatusExited},
		{"on-failure, waiting for its restart", "on-failure", end, model.StatusRunning},
		{"always, being stopped", "always", func(t *testing.T, n *node, id string) {
			go n.Stop(t.Context(), id, hangUp)
			synctest.Wait()
		}, model.StatusExited},
		{"no, being restarted", "no", func(t *testing.T, n *node, id string) {
			go n.Restart(t.Context(), id, hangUp)
			synctest.Wait()
		}, model.StatusRunning},
	}
	for _, policy := range []string{"no", "always"} {
		states = append(states, state{policy + ", never started", policy, nil, model.StatusCreated})
	}
	for _, test := range states {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				k := kerneltest.New()
				defer k.Shutdown()
				first := open(t, k, nil, dir)
				r := wiretest.Request()
				r.Container.Spec.Restart.Name = test.policy
				id := r.Container.ID
				must(t)(first.Create(t.Context(), r))
				if test.want != model.StatusCreated {
					must(t)(first.Start(t.Context(), id))
				}
				if test.bring != nil {
					test.bring(t, first, id)
				}
				first.Close()
				k.Reboot()
				again := open(t, k, nil, dir)
				time.Sleep(time.Second)
				synctest.Wait()
				s := again.state(t)
				if s.Status != test.want || (k.Pid(id) != 0) != (test.want == model.StatusRunning) || k.Frozen(id) {
					t.Errorf("after the reboot the container is %+v, with process %d", s, k.Pid(id))
				}
				must(t)(again.Remove(t.Context(), id, wire.RemoveRequest{Force: true}))
				wantNothingHeld(t, k)
				again.Close()
			})
		})
	}
}

// TestEveryEndIsTold has a container end again and again within its shortest
// delay: no end and no exit code is passed over.
func TestEveryEndIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(s *model.ContainerSpec) { s.Restart.Name = "always" })
		const ends = 20
		for i := range ends {
			if i%2 == 0 {
				n.kernel.End(id)
			} else {
				s, err := n.Attach(t.Context(), id, wire.AttachRequest{Stdin: true, Stream: true})
				if err != nil {
					t.Fatal(err)
				}
				s.CloseWrite()
				s.Close()
			}
			for time.Sleep(time.Millisecond); n.kernel.Pid(id) == 0; {
				time.Sleep(time.Minute)
			}
			synctest.Wait()
		}
		var codes []string
		for _, e := range n.story(t) {
			if e.Action == "die" {
				codes = append(codes, e.Attributes["exitCode"])
				if e.State.Status != model.StatusRestarting {
					t.Errorf("an end before a restart leaves it %s", e.State.Status)
				}
			}
		}
		var want []string
		for range ends / 2 {
			want = append(want, "136", "0")
		}
		if diff := cmp.Diff(want, codes); diff != "" {
			t.Errorf("exit codes (-want +got):\n%s", diff)
		}
		if s := n.state(t); s.RestartCount != ends {
			t.Errorf("%d restarts are counted", s.RestartCount)
		}
	})
}

func TestUpdatedPolicyCountsFromTheNextEnd(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(*model.ContainerSpec) {})
		update := func(name string) {
			t.Helper()
			must(t)(n.Update(t.Context(), id, model.ContainerUpdate{Restart: &model.RestartPolicy{Name: name}}))
		}
		update("always")
		n.kernel.End(id)
		synctest.Wait()
		if s := n.state(t).Status; s != model.StatusRestarting {
			t.Errorf("with the new policy an ended container is %s", s)
		}
		update("no") // too late for this end
		time.Sleep(time.Second)
		synctest.Wait()
		if s := n.state(t).Status; s != model.StatusRunning {
			t.Errorf("a restart that was due has left the container %s", s)
		}
		n.kernel.End(id)
		time.Sleep(time.Hour)
		if s := n.state(t); s.Status != model.StatusExited || s.ExitCode != 136 {
			t.Errorf("without a policy again the ended container is %+v", s)
		}
	})
}

// TestUpdateIsAllOrNothing lets each step of an update fail: the kernel's
// limits and the record's stay the same, and are the old ones.
func TestUpdateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	k, life := kerneltest.New(), kerneltest.NewLife(0)
	defer k.Shutdown()
	n := open(t, k, life, t.TempDir())
	defer n.Close()
	id := created(t, n, func(s *model.ContainerSpec) { s.Limits = model.Limits{Memory: 1, Disk: 5} })
	both := model.ContainerUpdate{Limits: &model.Limits{Memory: 2, Disk: 5}, Restart: &model.RestartPolicy{Name: "always"}}
	life.FailOnce("update", errors.New("this update is broken"))
	if _, err := n.Update(t.Context(), id, both); err == nil {
		t.Error("a broken update succeeded")
	}
	if _, err := n.Update(t.Context(), id, model.ContainerUpdate{Limits: &model.Limits{Memory: 2}}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("an update of the root's size: %v", err)
	}
	if got := k.Limits(id).Memory; got != 1 {
		t.Errorf("after the broken update the limit is %d", got)
	}
	must(t)(n.Update(t.Context(), id, both))
	if got := k.Limits(id).Memory; got != 2 {
		t.Errorf("after the update the limit is %d", got)
	}
	k.End(id) // the policy starts it again, with the new limits
	waitFor(t, n, func(e model.JournalEntry) bool { return e.Action == "start" && e.State.RestartCount == 1 })
	if got := k.Limits(id).Memory; got != 2 {
		t.Errorf("after its restart the limit is %d", got)
	}
}

// TestStopAfterRestartStops asks for a stop while a restart waits for the end:
// what was asked for last holds.
func TestStopAfterRestartStops(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(s *model.ContainerSpec) { s.StopSignal = "HUP" }) // which it ignores
		done := make(chan error, 2)
		go func() { done <- second(n.Restart(t.Context(), id, wire.StopRequest{})) }()
		synctest.Wait()
		go func() { done <- second(n.Stop(t.Context(), id, wire.StopRequest{})) }()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if s := n.state(t).Status; s != model.StatusExited {
			t.Errorf("after restart and stop the container is %s", s)
		}
	})
}

// TestPausedHoldsSignalsBack is about signals that do not end a container that
// names its own stop signal: they wait until it goes on.
func TestPausedHoldsSignalsBack(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(s *model.ContainerSpec) { s.StopSignal = "INT" })
		must(t)(n.Pause(t.Context(), id))
		must(t)(n.Kill(t.Context(), id, wire.KillRequest{Signal: "USR1"}))
		if s := n.state(t).Status; s != model.StatusPaused || !n.kernel.Frozen(id) {
			t.Errorf("after a signal the paused container is %s", s)
		}
		must(t)(n.Unpause(t.Context(), id))
		synctest.Wait()
		if s := n.state(t); s.Status != model.StatusExited || s.ExitCode != 138 {
			t.Errorf("once it goes on the container is %+v", s)
		}
	})
}

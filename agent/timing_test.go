package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// bubble runs f with an agent for which no real time passes.
func bubble(t *testing.T, f func(t *testing.T, n *node)) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := open(t, kerneltest.New(), nil, dir)
		defer n.kernel.Shutdown()
		defer n.Close()
		f(t, n)
		if v := n.kernel.Violations(); len(v) > 0 {
			t.Errorf("the drivers were misused: %v", v)
		}
	})
}

// created makes a container with a restart policy and starts it.
func created(t *testing.T, n *node, change func(*model.ContainerSpec)) string {
	t.Helper()
	r := wiretest.Request()
	change(&r.Container.Spec)
	must(t)(n.Create(t.Context(), r))
	must(t)(n.Start(t.Context(), r.Container.ID))
	return r.Container.ID
}

func (n *node) state(t *testing.T) model.ContainerState {
	t.Helper()
	all, err := n.Containers(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("the node has %+v, %v", all, err)
	}
	return all[0].State
}

func TestRestartDelayDoublesAndIsEarnedBack(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(s *model.ContainerSpec) { s.Restart.Name = "always" })
		ended := func() time.Duration {
			t.Helper()
			n.kernel.End(id)
			synctest.Wait()
			if s := n.state(t).Status; s != model.StatusRestarting {
				t.Fatalf("after its end the container is %s", s)
			}
			for n.kernel.Pid(id) == 0 {
				time.Sleep(50 * time.Millisecond)
			}
			synctest.Wait()
			return n.state(t).StartedAt.Sub(n.state(t).FinishedAt)
		}
		var delays []time.Duration
		for range 11 {
			delays = append(delays, ended())
		}
		ms := time.Millisecond
		want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms, 51200 * ms, time.Minute}
		if diff := cmp.Diff(want, delays); diff != "" {
			t.Errorf("delays (-want +got):\n%s", diff)
		}
		if got := n.state(t).RestartCount; got != 11 {
			t.Errorf("%d restarts are counted, want 11", got)
		}
		time.Sleep(10 * time.Second)
		if got := ended(); got != 100*ms {
			t.Errorf("after a steady run the delay is %s", got)
		}
	})
}

func TestOnFailureGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(s *model.ContainerSpec) { s.Restart = model.RestartPolicy{Name: "on-failure", MaxRetries: 2} })
		for range 3 {
			n.kernel.End(id)
			time.Sleep(time.Second)
		}
		if s := n.state(t); s.Status != model.StatusExited || s.RestartCount != 2 || s.ExitCode != 136 {
			t.Errorf("after three failures the container is %+v", s)
		}
	})
}

func TestStoppedByTheUserStaysStopped(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(s *model.ContainerSpec) { s.Restart.Name = "always" })
		must(t)(n.Kill(t.Context(), id, wire.KillRequest{}))
		time.Sleep(time.Hour)
		if s := n.state(t); s.Status != model.StatusExited || s.ExitCode != 137 {
			t.Errorf("an hour after its kill the container is %+v", s)
		}
		must(t)(n.Start(t.Context(), id))
		n.kernel.End(id)
		synctest.Wait()
		must(t)(n.Stop(t.Context(), id, wire.StopRequest{})) // while it waits for its restart
		time.Sleep(time.Hour)
		if s := n.state(t); s.Status != model.StatusExited {
			t.Errorf("an hour after its stop the container is %+v", s)
		}
	})
}

func TestStopKillsAfterTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		three := 3
		id := created(t, n, func(s *model.ContainerSpec) { s.StopSignal = "HUP" }) // which the process ignores
		for _, test := range []struct {
			request wire.StopRequest
			want    time.Duration
		}{{wire.StopRequest{}, 10 * time.Second}, {wire.StopRequest{Timeout: &three}, 3 * time.Second}, {wire.StopRequest{Signal: "TERM"}, 0}} {
			begun := time.Now()
			must(t)(n.Stop(t.Context(), id, test.request))
			if took := time.Since(begun); took != test.want {
				t.Errorf("the stop took %s, want %s", took, test.want)
			}
			must(t)(n.Start(t.Context(), id))
		}
		forever := -1
		done := make(chan error, 1)
		go func() { done <- second(n.Stop(t.Context(), id, wire.StopRequest{Timeout: &forever})) }()
		time.Sleep(24 * time.Hour)
		if s := n.state(t).Status; s != model.StatusRunning {
			t.Errorf("a stop without timeout killed the container: %s", s)
		}
		must(t)(n.Kill(t.Context(), id, wire.KillRequest{})) // is not held up by the stop
		if err := <-done; err != nil {
			t.Errorf("the stop ended with %v", err)
		}
	})
}

func TestExecsAreToldAndForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(*model.ContainerSpec) {})
		spec := wire.ExecSpec{ID: model.NewID(), Args: []string{"sh", "-c", "true"}, Stdin: true}
		if err := n.ExecCreate(t.Context(), id, spec); err != nil {
			t.Fatal(err)
		}
		stream, err := n.ExecStart(t.Context(), spec.ID, wire.ExecStartRequest{})
		if err != nil {
			t.Fatal(err)
		}
		stream.CloseWrite()
		stream.Close()
		time.Sleep(time.Second)
		var told []string
		for _, e := range n.story(t) {
			if e.Attributes["execID"] == spec.ID {
				told = append(told, e.Action+e.Attributes["exitCode"])
			}
		}
		if diff := cmp.Diff([]string{"exec_create: sh -c true", "exec_start: sh -c true", "exec_die0"}, told); diff != "" {
			t.Errorf("journal (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
		if _, err := n.ExecInspect(t.Context(), spec.ID); err != nil {
			t.Errorf("while its container runs the exec is forgotten: %v", err)
		}
		must(t)(n.Stop(t.Context(), id, wire.StopRequest{}))
		time.Sleep(time.Hour)
		if _, err := n.ExecInspect(t.Context(), spec.ID); !model.IsKind(err, model.KindNotFound) {
			t.Errorf("an hour after its container's end the exec is still known: %v", err)
		}
	})
}

func TestSilentJournalGivesSignsOfLife(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		s, err := n.Journal(t.Context(), wire.Ack{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		begun := time.Now()
		batch, err := s.Next()
		if took := time.Since(begun); err != nil || len(batch) != 0 || took > 2*time.Second {
			t.Errorf("after %s the silent journal said %v, %v", took, batch, err)
		}
	})
}

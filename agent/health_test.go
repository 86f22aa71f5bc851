package agent_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// checked is a change of a specification to one with a health check.
func checked(check model.Healthcheck) func(*model.ContainerSpec) {
	check.Test = []string{"CMD-SHELL", "is it well"}
	return func(s *model.ContainerSpec) { s.Healthcheck = &check }
}

// health is what the agent answers, and what its record says.
func (n *node) health(t *testing.T, id string) model.Health {
	t.Helper()
	synctest.Wait()
	h, err := n.Health(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	recorded := n.state(t).Health
	if recorded == nil || recorded.Status != h.Status || len(recorded.Log) > 0 {
		t.Errorf("the record says %+v, the agent %+v", recorded, h)
	}
	return h
}

func (n *node) healthEvents(t *testing.T) (told []string) {
	t.Helper()
	synctest.Wait()
	for _, e := range n.story(t) {
		if status, is := strings.CutPrefix(e.Action, "health_status: "); is {
			told = append(told, status)
			if e.State == nil || e.State.Health == nil || string(e.State.Health.Status) != status {
				t.Errorf("%s comes with %+v", e.Action, e.State)
			}
		}
	}
	return told
}

func TestHealthIsJudgedByStreaks(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, checked(model.Healthcheck{Interval: 10 * time.Second, Retries: 2}))
		if h := n.health(t, id); h.Status != model.HealthStarting || len(h.Log) != 0 {
			t.Errorf("at its start the container is %+v", h)
		}
		time.Sleep(10 * time.Second)
		if h := n.health(t, id); h.Status != model.HealthHealthy || len(h.Log) != 1 || h.Log[0].Output != "is it well" {
			t.Errorf("after a good probe the container is %+v", h)
		}
		n.kernel.SetHealth(id, 1, false)
		time.Sleep(10 * time.Second)
		if h := n.health(t, id); h.Status != model.HealthHealthy || h.FailingStreak != 1 {
			t.Errorf("after one failure the container is %+v", h)
		}
		time.Sleep(70 * time.Second)
		if h := n.health(t, id); h.Status != model.HealthUnhealthy || h.FailingStreak != 8 || len(h.Log) != 5 || !h.Log[0].Start.Before(h.Log[4].Start) {
			t.Errorf("after eight failures the container is %+v", h)
		}
		n.kernel.SetHealth(id, 0, false)
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"healthy", "unhealthy", "healthy"}, n.healthEvents(t)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		must(t)(n.Restart(t.Context(), id, wire.StopRequest{}))
		if h := n.health(t, id); h.Status != model.HealthStarting || h.FailingStreak != 0 || len(h.Log) != 0 {
			t.Errorf("after another start the container is %+v", h)
		}
		must(t)(n.Stop(t.Context(), id, wire.StopRequest{}))
		if h := n.health(t, id); h.Status != model.HealthUnhealthy {
			t.Errorf("once it is stopped the container is %+v", h)
		}
		if got := len(n.healthEvents(t)); got != 3 {
			t.Errorf("starts and ends are told as %d changes of health", got)
		}
	})
}

func TestFailuresOfTheStartPeriodDoNotCount(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		r := checked(model.Healthcheck{Interval: time.Minute, StartPeriod: time.Minute, StartInterval: 2 * time.Second, Retries: 1})
		id := created(t, n, r)
		n.kernel.SetHealth(id, 1, false)
		time.Sleep(59 * time.Second)
		if h := n.health(t, id); h.Status != model.HealthStarting || h.FailingStreak != 0 || n.kernel.Probes(id) != 29 {
			t.Errorf("in its start period, after %d probes, the container is %+v", n.kernel.Probes(id), h)
		}
		n.kernel.SetHealth(id, 0, false)
		time.Sleep(2 * time.Second)
		probes := n.kernel.Probes(id)
		if h := n.health(t, id); h.Status != model.HealthHealthy {
			t.Errorf("one good probe is enough, but the container is %+v", h)
		}
		n.kernel.SetHealth(id, 1, false)
		time.Sleep(60 * time.Second)
		if h := n.health(t, id); h.Status != model.HealthUnhealthy || n.kernel.Probes(id) != probes+1 {
			t.Errorf("once it was healthy, after %d more probes, the container is %+v", n.kernel.Probes(id)-probes, h)
		}
	})
}

func TestHungProbeCostsOnlyItself(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		check := checked(model.Healthcheck{Interval: 10 * time.Second, Timeout: time.Hour, Retries: 1})
		for range 40 {
			n.kernel.SetHealth(created(t, n, check), 0, true)
		}
		id := created(t, n, checked(model.Healthcheck{Interval: 10 * time.Second, Retries: 1}))
		time.Sleep(30 * time.Second)
		if h, err := n.Health(t.Context(), id); err != nil || h.Status != model.HealthHealthy {
			t.Errorf("beside forty that hang the container is %+v, %v", h, err)
		}
		n.kernel.SetHealth(id, 0, true)
		time.Sleep(time.Minute)
		h, err := n.Health(t.Context(), id)
		if err != nil || h.Status != model.HealthUnhealthy || h.Log[len(h.Log)-1].ExitCode != -1 || h.Log[len(h.Log)-1].Output != "Health check exceeded timeout (30s): wait" {
			t.Errorf("after its timeout the container is %+v, %v", h, err)
		}
		begun := time.Now()
		must(t)(n.Stop(t.Context(), id, wire.StopRequest{})) // whose probe hangs
		if took := time.Since(begun); took != 0 {
			t.Errorf("the stop took %s", took)
		}
	})
}

func TestPausedIsNotProbed(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, checked(model.Healthcheck{Interval: 10 * time.Second}))
		time.Sleep(15 * time.Second)
		must(t)(n.Pause(t.Context(), id))
		time.Sleep(time.Hour)
		if got := n.kernel.Probes(id); got != 1 {
			t.Errorf("a paused container was probed %d times", got-1)
		}
		if h := n.health(t, id); h.Status != model.HealthHealthy || len(h.Log) != 1 {
			t.Errorf("a paused container is %+v", h)
		}
		must(t)(n.Unpause(t.Context(), id))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := n.kernel.Probes(id); got != 2 {
			t.Errorf("a container that goes on was probed %d times", got-1)
		}
	})
}

func TestEndingIsNotProbed(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		check := checked(model.Healthcheck{Interval: 2 * time.Second})
		id := created(t, n, func(s *model.ContainerSpec) {
			check(s)
			s.StopSignal = "HUP" // which it ignores
		})
		must(t)(n.Stop(t.Context(), id, wire.StopRequest{}))
		if got := n.kernel.Probes(id); got != 0 {
			t.Errorf("a container that is being stopped was probed %d times", got)
		}
	})
}

func TestNoProbeWhereNoneIsWanted(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		id := created(t, n, func(s *model.ContainerSpec) { s.Healthcheck = &model.Healthcheck{Test: []string{"NONE"}} })
		time.Sleep(time.Hour)
		if h, err := n.Health(t.Context(), id); err != nil || h.Status != "" || n.state(t).Health != nil || n.kernel.Probes(id) != 0 {
			t.Errorf("the container is %+v, %v, after %d probes", h, err, n.kernel.Probes(id))
		}
	})
}

// TestHealthOutlivesTheAgent replaces the agent: the status stays, and probing
// goes on.
func TestHealthOutlivesTheAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k := kerneltest.New()
		defer k.Shutdown()
		first := open(t, k, nil, dir)
		id := created(t, first, checked(model.Healthcheck{Interval: 10 * time.Second, Retries: 2}))
		k.SetHealth(id, 1, false)
		time.Sleep(25 * time.Second)
		if h := first.health(t, id); h.Status != model.HealthUnhealthy {
			t.Fatalf("before the agent ends the container is %+v", h)
		}
		first.Close()
		again := open(t, k, nil, dir)
		defer again.Close()
		if h := again.health(t, id); h.Status != model.HealthUnhealthy || h.FailingStreak != 2 {
			t.Errorf("for the next agent the container is %+v", h)
		}
		k.SetHealth(id, 0, false)
		time.Sleep(10 * time.Second)
		if h := again.health(t, id); h.Status != model.HealthHealthy {
			t.Errorf("the next agent's probe made the container %+v", h)
		}
		if diff := cmp.Diff([]string{"unhealthy", "healthy"}, again.healthEvents(t)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestKilledWhilePausing freezes a container as an agent does that dies before
// it has written that down: the next one lets it go on.
func TestKilledWhilePausing(t *testing.T) {
	t.Parallel()
	k, dir := kerneltest.New(), t.TempDir()
	defer k.Shutdown()
	first := open(t, k, nil, dir)
	id := created(t, first, func(*model.ContainerSpec) {})
	held, release := make(chan struct{}), make(chan struct{})
	paused := make(chan error, 1)
	go func() {
		paused <- first.WhilePaused(context.Background(), id, func() error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	if s := first.state(t).Status; s != model.StatusPaused || !k.Frozen(id) {
		t.Errorf("for the work the container is %s, frozen %t", s, k.Frozen(id))
	}
	copied := copyRecords(t, dir) // what a dead process leaves is its file as it is
	again := open(t, k, nil, copied)
	if s := again.state(t).Status; s != model.StatusRunning || k.Frozen(id) {
		t.Errorf("after the agent died in its work the container is %s, frozen %t", s, k.Frozen(id))
	}
	must(t)(again.Remove(t.Context(), id, wire.RemoveRequest{Force: true}))
	again.Close()
	close(release)
	if err := <-paused; err != nil {
		t.Error(err)
	}
	first.Close()
}

package agent_test

import (
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func TestTwoHundredLivesAtOnce(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	var lives sync.WaitGroup
	for range 200 {
		lives.Go(func() {
			r := wiretest.Request()
			id := r.Container.ID
			for _, step := range []func() error{
				func() error { return second(n.Create(t.Context(), r)) },
				func() error { return second(n.Start(t.Context(), id)) },
				func() error { return second(n.Restart(t.Context(), id, wire.StopRequest{})) },
				func() error { return second(n.Stop(t.Context(), id, wire.StopRequest{})) },
				func() error { return second(n.Start(t.Context(), id)) },
				func() error { return second(n.Remove(t.Context(), id, wire.RemoveRequest{Force: true})) },
			} {
				if err := step(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	lives.Wait()
	wantNothingHeld(t, n.kernel)
	if all, _ := n.Containers(t.Context()); len(all) != 0 {
		t.Errorf("%d containers are left", len(all))
	}
}

// TestCommandsAboutOneContainerMeet has many callers ask for different things
// of one container at once: each gets an answer, and the end is in order.
func TestCommandsAboutOneContainerMeet(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	r := wiretest.Request()
	r.Container.Spec.Restart.Name = "always"
	id := r.Container.ID
	must(t)(n.Create(t.Context(), r))
	var callers sync.WaitGroup
	for i := range 60 {
		callers.Go(func() {
			switch i % 6 {
			case 0:
				n.Start(t.Context(), id)
			case 1:
				n.Stop(t.Context(), id, wire.StopRequest{})
			case 2:
				n.Restart(t.Context(), id, wire.StopRequest{})
			case 3:
				n.Kill(t.Context(), id, wire.KillRequest{Signal: "TERM"})
			case 4:
				n.kernel.End(id)
			case 5:
				n.Create(t.Context(), r)
			}
		})
	}
	callers.Wait()
	must(t)(n.Remove(t.Context(), id, wire.RemoveRequest{Force: true}))
	wantNothingHeld(t, n.kernel)
}

// BenchmarkStartPath is what the agent adds to the drivers from a start to its
// answer: here the drivers take no time.
func BenchmarkStartPath(b *testing.B) {
	n := fresh(b)
	r := wiretest.Request()
	id := r.Container.ID
	must(b)(n.Create(b.Context(), r))
	for b.Loop() {
		must(b)(n.Start(b.Context(), id))
		b.StopTimer()
		must(b)(n.Stop(b.Context(), id, wire.StopRequest{}))
		b.StartTimer()
	}
}

// BenchmarkLife is a whole life: create, start, end seen, removed.
func BenchmarkLife(b *testing.B) {
	n := fresh(b)
	for b.Loop() {
		r := wiretest.Request()
		id := r.Container.ID
		must(b)(n.Create(b.Context(), r))
		must(b)(n.Start(b.Context(), id))
		must(b)(n.Stop(b.Context(), id, wire.StopRequest{}))
		must(b)(n.Remove(b.Context(), id, wire.RemoveRequest{}))
	}
}

package agent_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// inUse has somebody use the root of a container until the container is
// removed, or stop is called, and waits until they have begun.
func (n *node) inUse(t *testing.T, id string) (stop func(), done <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := n.Commit(ctx, id, wire.CommitRequest{Comment: kerneltest.EndlessCommit})
		ended <- err
	}()
	n.awaitMount(t, id, true)
	return cancel, ended
}

func (n *node) awaitMount(t *testing.T, id string, want bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		if mounted := slices.Contains(n.kernel.Holds(), "mount "+id); mounted == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("mounted: %t, want %t", !want, want)
		}
	}
}

func TestRootsAreMountedWhileTheyAreUsed(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	r := wiretest.Request()
	id := r.Container.ID
	ok := must(t)
	ok(n.Create(t.Context(), r))
	stop, done := n.inUse(t, id)
	stop()
	<-done
	n.awaitMount(t, id, false)

	// A run takes the mount over and leaves it to who still uses it.
	stop, done = n.inUse(t, id)
	ok(n.Start(t.Context(), id))
	ok(n.Stop(t.Context(), id, wire.StopRequest{}))
	n.awaitMount(t, id, true)
	stop()
	<-done
	n.awaitMount(t, id, false)
	ok(n.Remove(t.Context(), id, wire.RemoveRequest{}))
	wantNothingHeld(t, n.kernel)
}

func TestRemovalEndsTheUseOfARoot(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]bool{"stopped": false, "running": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := fresh(t)
			r := wiretest.Request()
			id := r.Container.ID
			ok := must(t)
			ok(n.Create(t.Context(), r))
			if start {
				ok(n.Start(t.Context(), id))
			}
			stop, done := n.inUse(t, id)
			defer stop()
			ok(n.Remove(t.Context(), id, wire.RemoveRequest{Force: true}))
			if err := <-done; err == nil {
				t.Error("the use of a removed root succeeded")
			}
			wantNothingHeld(t, n.kernel)
			if _, err := n.Commit(t.Context(), id, wire.CommitRequest{}); !model.IsKind(err, model.KindNotFound) {
				t.Errorf("a removed container's root: %v", err)
			}
		})
	}
}

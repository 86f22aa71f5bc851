package circle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// ring is three heads, some nodes, and an account that has an image.
func ring(t *testing.T, nodes int) (*headtest.Ring, model.Account) {
	t.Helper()
	r := headtest.NewRing(t, 3, nodes)
	a := r.Account("jill")
	pull(t, r.Followers()[0], a)
	return r, a
}

func pull(t *testing.T, h *headtest.Head, a model.Account) {
	t.Helper()
	fresh(t, h)
	if _, err := h.Images.Pull(headtest.Context(t), a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
}

// fresh is what the API does before each request.
func fresh(t *testing.T, h *headtest.Head) {
	t.Helper()
	if err := h.Circle.Heads.Fresh(headtest.Context(t)); err != nil {
		t.Fatal(err)
	}
}

func request(name string) model.CreateContainer {
	return model.CreateContainer{Name: name, Spec: model.ContainerSpec{Image: "busybox"}}
}

func create(t *testing.T, h *headtest.Head, a model.Account, name string) (model.Container, error) {
	t.Helper()
	if err := h.Circle.Heads.Fresh(headtest.Context(t)); err != nil {
		return model.Container{}, err
	}
	c, _, err := h.Containers.Create(headtest.Context(t), a, request(name))
	return c, err
}

func TestP4TenCreatesOfOneNameThroughThreeHeads(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 3)
	var mu sync.Mutex
	var made []string
	var creating sync.WaitGroup
	for i := range 10 {
		creating.Go(func() {
			c, err := create(t, r.Heads[i%3], a, "web")
			switch {
			case err == nil:
				mu.Lock()
				made = append(made, c.ID)
				mu.Unlock()
			case !model.IsKind(err, model.KindConflict):
				t.Errorf("error %v", err)
			}
		})
	}
	creating.Wait()
	if len(made) != 1 {
		t.Fatalf("%d creations of one name have succeeded", len(made))
	}
	for _, h := range r.Heads {
		fresh(t, h)
		if c, err := h.Containers.Get(t.Context(), a, "web"); err != nil || c.ID != made[0] {
			t.Errorf("a head shows %s, error %v, want %s", c.ID, err, made[0])
		}
	}
	has := 0
	for i := range 3 {
		all, err := r.Agent(fmt.Sprintf("node-%d", i+1)).Containers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		has += len(all)
	}
	if has != 1 {
		t.Errorf("the nodes have %d containers", has)
	}
}

func TestP2EveryHeadShowsWhatAnyHasAnsweredTo(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 1)
	for i := range 30 {
		writer, reader := r.Heads[i%3], r.Heads[(i+1)%3]
		name := fmt.Sprintf("web-%d", i)
		c, err := create(t, writer, a, name)
		if err != nil {
			t.Fatal(err)
		}
		fresh(t, reader)
		if got, err := reader.Containers.Get(t.Context(), a, name); err != nil || got.ID != c.ID {
			t.Fatalf("another head shows %s, error %v", got.ID, err)
		}
		if err := reader.Containers.Remove(headtest.Context(t), a, name, wire.RemoveRequest{}); err != nil {
			t.Fatal(err)
		}
		fresh(t, writer)
		if _, err := writer.Containers.Get(t.Context(), a, name); !model.IsKind(err, model.KindNotFound) {
			t.Fatalf("a removed container is still shown, error %v", err)
		}
	}
}

func TestP2WithoutAQuorumNothingIsToldAndNothingChanges(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 1)
	left := r.Followers()[0]
	for _, h := range r.Up() {
		if h != left {
			h.Kill()
		}
	}
	for name, do := range map[string]func(context.Context) error{
		"read": left.Circle.Heads.Fresh,
		"write": func(ctx context.Context) error {
			_, _, err := left.Containers.Create(ctx, a, request("web"))
			return err
		},
	} {
		if err := do(headtest.Context(t)); !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestP3LeaderDiesDuringACreate(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 2)
	leader, follower := r.Leader(), r.Followers()[0]
	follower.BeforeCreate(leader.Kill)
	c, err := create(t, follower, a, "web")
	if err != nil && !model.IsKind(err, model.KindUnavailable) {
		t.Fatalf("error %v", err)
	}
	settled(t, r, a, c, err)
}

func TestP3LeaderDiesAmongManyCreates(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 2)
	leader, followers := r.Leader(), r.Followers()
	answers := make([]error, 40)
	var creating sync.WaitGroup
	for i := range answers {
		creating.Go(func() { _, answers[i] = create(t, followers[i%2], a, fmt.Sprintf("web-%d", i)) })
		if i == len(answers)/2 {
			creating.Go(leader.Kill)
		}
	}
	creating.Wait()
	failed := 0
	for i, err := range answers {
		if err != nil {
			failed++
		}
		if err != nil && !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("creation %d: %v", i, err)
		}
	}
	t.Logf("%d of %d creations have failed", failed, len(answers))
	r.Until("what failed is undone", func() bool {
		for i, err := range answers {
			_, there := r.Leader().Store.View().ContainerByName(a.ID, fmt.Sprintf("web-%d", i))
			if there != (err == nil) {
				return false
			}
		}
		return true
	})
	has := 0
	for _, name := range []string{"node-1", "node-2"} {
		all, err := r.Agent(name).Containers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		has += len(all)
	}
	if has != len(answers)-failed {
		t.Errorf("the nodes have %d containers, %d were acknowledged", has, len(answers)-failed)
	}
}

// settled checks that there is a container or an error, never both, on all
// heads and nodes.
func settled(t *testing.T, r *headtest.Ring, a model.Account, c model.Container, failure error) {
	t.Helper()
	want := failure == nil
	r.Until("heads and nodes agree with the answer", func() bool {
		has := false
		for _, name := range []string{"node-1", "node-2"} {
			all, err := r.Agent(name).Containers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			has = has || len(all) > 0
		}
		for _, h := range r.Up() {
			if got, there := h.Store.View().ContainerByName(a.ID, "web"); there != want || want && got.ID != c.ID {
				return false
			}
		}
		return has == want
	})
}

func TestP13TheHeadThatCreatesDies(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"for good": false, "and comes back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, a := ring(t, 2)
			follower := r.Followers()[0]
			follower.BeforeCreate(follower.Kill)
			if _, err := create(t, follower, a, "web"); err == nil {
				t.Fatal("a dead head has made a container")
			}
			if again {
				follower.Start()
			}
			settled(t, r, a, model.Container{}, errors.New("the head died"))
		})
	}
}

func TestWhatAnotherHeadWorksOnIsLeftAlone(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 1)
	follower := r.Followers()[0]
	held, release := make(chan struct{}), make(chan struct{})
	follower.BeforeCreate(func() {
		close(held)
		<-release
	})
	done := make(chan error, 1)
	go func() { _, err := create(t, follower, a, "web"); done <- err }()
	<-held
	// Longer than the leader's reconciliation pauses.
	select {
	case <-time.After(2500 * time.Millisecond):
	case err := <-done:
		t.Fatalf("the creation has ended: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the leader has undone what another head was doing: %v", err)
	}
}

// A head that knows less of the log than all others would stop at the first new
// entry: it is not let in.
func TestAHeadThatIsTooOldIsNotLetIn(t *testing.T) {
	t.Parallel()
	r := headtest.NewRing(t, 1, 0)
	err := r.Heads[0].Circle.Register(headtest.Context(t), model.Head{
		ID: "old", Name: "old", RaftAddress: "127.0.0.1:1", PeerAddress: "127.0.0.1:1", Version: "0.9.0",
	}, true)
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "head old runs spearhead 0.9.0, which is older") {
		t.Errorf("an old head: %v", err)
	}
	if stats := r.Heads[0].Store.Stats(); len(stats.Heads) != 1 {
		t.Errorf("the heads are %+v", stats.Heads)
	}
}

func TestRemovedHeadEnds(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 1)
	gone, asked := r.Followers()[0], r.Followers()[1]
	if err := asked.Circle.Remove(headtest.Context(t), gone.Circle.ID); err != nil {
		t.Fatal(err)
	}
	r.Until("the removed head has ended", func() bool { return gone.Store.Err() != nil })
	gone.Kill()
	if err := gone.TryStart(); err == nil || !strings.Contains(err.Error(), "removed") {
		t.Errorf("a removed head comes back: %v", err)
	}
	if _, err := create(t, asked, a, "web"); err != nil {
		t.Error(err)
	}
}

// It has not heard of its removal, and nobody who knows speaks to it in raft.
func TestHeadThatWasRemovedWhileItWasDownEnds(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 1)
	gone, asked := r.Followers()[0], r.Followers()[1]
	gone.Kill()
	if err := asked.Circle.Remove(headtest.Context(t), gone.Circle.ID); err != nil {
		t.Fatal(err)
	}
	gone.Start()
	select {
	case err := <-gone.Ended:
		if !model.IsKind(err, model.KindForbidden) {
			t.Errorf("error %v", err)
		}
	case <-gone.Store.Failed():
	case <-headtest.Context(t).Done():
		t.Error("a removed head that comes back goes on")
	}
	gone.Kill()
	if _, err := create(t, asked, a, "web"); err != nil {
		t.Error(err)
	}
}

func TestLeaderThatGoesHandsTheLeadOn(t *testing.T) {
	t.Parallel()
	r, a := ring(t, 1)
	leader := r.Leader()
	var creating sync.WaitGroup
	stop := make(chan struct{})
	for i := range 3 {
		creating.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := create(t, r.Heads[i], a, fmt.Sprintf("web-%d-%d", i, n)); err != nil {
					t.Errorf("a creation while the lead was handed on: %v", err)
					return
				}
			}
		})
	}
	if err := leader.Store.TransferLeadership(headtest.Context(t)); err != nil {
		t.Error(err)
	}
	r.Until("another head leads", func() bool { return !leader.Circle.Leads() && r.Leader() != leader })
	close(stop)
	creating.Wait()
}

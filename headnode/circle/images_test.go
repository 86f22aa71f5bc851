package circle_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/wire"
)

// holds reports whether a node has the bytes of busybox.
func holds(t *testing.T, r *headtest.Ring, node string) bool {
	t.Helper()
	ids, err := r.Agent(node).Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(ids, headtest.Image("busybox").ID)
}

// One account's pull at one head has brought an image whose last name another
// account takes away at the leader, before the first has a name for it.
func TestLeaderTakesAwayNoImageThatAnotherHeadIsBringing(t *testing.T) {
	t.Parallel()
	r, jill := ring(t, 1)
	jack := r.Account("jack")
	leader, follower := r.Leader(), r.Followers()[0]
	fresh(t, follower)
	between := sync.OnceFunc(func() {
		if _, err := leader.Images.Remove(headtest.Context(t), jill, "busybox", true); err != nil {
			t.Error(err)
		}
		leader.Images.Sweep(headtest.Context(t))
	})
	_, err := follower.Images.Pull(headtest.Context(t), jack, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) { between() })
	if err != nil {
		t.Fatal(err)
	}
	fresh(t, leader)
	leader.Images.Sweep(headtest.Context(t))
	if img, err := leader.Images.Get(t.Context(), jack, "busybox"); err != nil || len(img.Holders) == 0 || !holds(t, r, "node-1") {
		t.Errorf("the image is gone: %+v, error %v", img.Holders, err)
	}
}

func TestLeaderTakesAwayWhatAnotherHeadHasLetGo(t *testing.T) {
	t.Parallel()
	r, jill := ring(t, 1)
	follower := r.Followers()[0]
	fresh(t, follower)
	if _, err := follower.Images.Remove(headtest.Context(t), jill, "busybox", true); err != nil {
		t.Fatal(err)
	}
	r.Until("the node has forgotten the image", func() bool { return !holds(t, r, "node-1") })
}

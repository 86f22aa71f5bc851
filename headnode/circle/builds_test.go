package circle_test

import (
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
)

// TestABuildIsEndedWhicheverHeadIsAsked has all heads hear of a build that is to end, because
// any of them may serve it, and those that are left when one is away.
func TestABuildIsEndedWhicheverHeadIsAsked(t *testing.T) {
	t.Parallel()
	r, jill := ring(t, 1)
	for i, h := range r.Heads {
		fresh(t, h)
		id := []string{"first", "second", "third"}[i]
		if err := h.Circle.CancelEverywhere(headtest.Context(t), jill, id); err != nil {
			t.Fatal(err)
		}
		for _, other := range r.Heads {
			if !slices.Contains(other.EndedBuilds(), jill.ID+" "+id) {
				t.Errorf("the build %s, ended at head %d, goes on: %v", id, i, other.EndedBuilds())
			}
		}
	}
	away, asked := r.Followers()[0], r.Leader()
	away.Kill()
	if err := asked.Circle.CancelEverywhere(headtest.Context(t), jill, "fourth"); err != nil {
		t.Error(err)
	}
	for _, h := range r.Heads {
		if h != away && !slices.Contains(h.EndedBuilds(), jill.ID+" fourth") {
			t.Errorf("with a head away, a build goes on: %v", h.EndedBuilds())
		}
	}
}

package idset_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/idset"
)

// Of many that add one id, one does.
func TestOneAdds(t *testing.T) {
	t.Parallel()
	var set idset.Set
	if set.Has("a") || len(set.List()) != 0 {
		t.Error("a new set is not empty")
	}
	var added atomic.Int32
	var adding sync.WaitGroup
	for range 100 {
		adding.Go(func() {
			if set.Add("a") {
				added.Add(1)
			}
		})
	}
	adding.Wait()
	if added.Load() != 1 || !set.Has("a") || !slices.Equal(set.List(), []string{"a"}) {
		t.Errorf("%d have added it; the set is %v", added.Load(), set.List())
	}
	set.Remove("a")
	set.Remove("b")
	if set.Has("a") || !set.Add("a") {
		t.Error("what was removed is there still")
	}
}

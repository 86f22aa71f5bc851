package heaproom

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestHowMuchAHeapGrows(t *testing.T) {
	t.Parallel()
	const room, mib = 100 << 20, 1 << 20
	for live, want := range map[uint64]int{0: 50, 1: 50, 200 * mib: 50, 250 * mib: 40, 500 * mib: 20, 5000 * mib: least} {
		if got := percent(live, room, 50); got != want {
			t.Errorf("a heap of %d MiB grows by %d percent, want %d", live/mib, got, want)
		}
	}
}

func TestTheCollectorIsSet(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	runtime.GC() // from now on it is known what is in use
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	Keep(ended, 1, 50)
	if got := debug.SetGCPercent(100); got != least {
		t.Errorf("the heap grows by %d percent", got)
	}
}

package heaproom

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

func TestHowMuchAHeapGrows(t *testing.T) {
	t.Parallel()
	const room, mib = 100 << 20, 1 << 20
	for live, want := range map[uint64]int{
		0: 50, 1: littleMost, 4 * mib: littleMost, 10 * mib: 80, 16 * mib: 50, 200 * mib: 50, 250 * mib: 40, 500 * mib: 20, 5000 * mib: least,
	} {
		if got := percent(live, room, 50); got != want {
			t.Errorf("a heap of %d MiB grows by %d percent, want %d", live/mib, got, want)
		}
	}
}

func TestTheCollectorIsSetAfterEachCollection(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { Keep(ctx, 1, 50) })
	defer keeping.Wait()
	defer cancel()
	is := func(want int) {
		t.Helper()
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		for end := time.Now().Add(time.Minute); ; runtime.GC() {
			if metrics.Read(sample); sample[0].Value.Uint64() == uint64(want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the heap grows by %d percent, want %d", sample[0].Value.Uint64(), want)
			}
		}
	}
	is(littleMost)
	large := make([]byte, 100<<20)
	is(least)
	runtime.KeepAlive(large)
	is(littleMost)
}

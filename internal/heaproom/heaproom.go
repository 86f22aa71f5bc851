package heaproom

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// least is what the heap may always grow by, in percent: each collection
	// visits all of it.
	least = 12
	// little is what a small heap may grow by, in bytes: under load it would be
	// collected a hundred times a second, to save less than anybody counts. It
	// is small as long as that is no more than littleMost percent.
	little     = 8 << 20
	littleMost = 150
	// step is what percentages are rounded to: setting one stops the program
	// for a moment.
	step = 10
	live = "/gc/heap/live:bytes"
)

// Keep sets the collector (debug.SetGCPercent) after each collection until ctx
// ends, so that the heap grows until the next one by room bytes or by most
// percent, whichever is less; or by 8 MiB, if that is more. It leaves the
// setting as it is then.
func Keep(ctx context.Context, room uint64, most int) {
	collected := make(chan struct{}, 1)
	sample := []metrics.Sample{{Name: live}}
	for now := 0; ; {
		whenCollected(collected)
		metrics.Read(sample)
		if p := percent(sample[0].Value.Uint64(), room, most); p != now {
			debug.SetGCPercent(p)
			now = p
		}
		select {
		case <-collected:
		case <-ctx.Done():
			return
		}
	}
}

// whenCollected tells the end of the next collection: that an object is gone
// which nothing refers to.
func whenCollected(tell chan<- struct{}) {
	runtime.AddCleanup(new([64]byte), func(tell chan<- struct{}) {
		select {
		case tell <- struct{}{}:
		default: // it has been told, and nobody has looked yet
		}
	}, tell)
}

// percent is by how much a heap may grow of which so many bytes were in use at
// the last collection.
func percent(live, room uint64, most int) int {
	if live == 0 {
		return most
	}
	p := min(max(room*100/live, least), uint64(most))
	p = max(p, min(little*100/live, littleMost))
	if p > least {
		p -= p % step
	}
	return int(max(p, least))
}

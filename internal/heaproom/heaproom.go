package heaproom

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// interval is between two looks at the heap; the runtime gives no event.
	interval = 5 * time.Second
	// least is what the heap may always grow by, in percent: each collection
	// visits all of it.
	least = 12
	live  = "/gc/heap/live:bytes"
)

// Keep sets the collector (debug.SetGCPercent) until ctx ends, so that the heap
// grows between two collections by room bytes or by most percent, whichever is
// less. It leaves the setting as it is then.
func Keep(ctx context.Context, room uint64, most int) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: live}}
	for now := 0; ; {
		metrics.Read(sample)
		if p := percent(sample[0].Value.Uint64(), room, most); p != now {
			debug.SetGCPercent(p)
			now = p
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// percent is by how much a heap may grow of which so many bytes were in use at
// the last collection.
func percent(live, room uint64, most int) int {
	if live == 0 {
		return most
	}
	return int(min(max(room*100/live, least), uint64(most)))
}

package joining

import (
	"net/netip"
	"sync"
	"time"
)

// Refusals that one address, and all of them together, may cause in a period.
const (
	period     = time.Minute
	mostOfOne  = 10
	mostOfAll  = 200
	mostSender = 1000 // addresses that are remembered in a period
)

// limit counts refusals and tells when there were too many. Requests that
// succeed are not counted: a machine that waits for its approval asks often.
type limit struct {
	now func() time.Time

	mu    sync.Mutex
	began time.Time
	all   int
	of    map[netip.Addr]int
}

// open reports whether requests from the address are answered now.
func (l *limit) open(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	return l.all < mostOfAll && l.of[from] < mostOfOne
}

// refused counts one.
func (l *limit) refused(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	l.all++
	if _, known := l.of[from]; known || len(l.of) < mostSender {
		l.of[from]++
	}
}

// turn begins a new period if the last one is over. The caller holds mu.
func (l *limit) turn() {
	if now := l.now(); l.of == nil || now.Sub(l.began) >= period {
		l.began, l.all, l.of = now, 0, map[netip.Addr]int{}
	}
}

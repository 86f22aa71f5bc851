package resolver

import (
	"sync"
	"time"
)

// budget is a bucket of tokens that fills with time. Its methods may be called
// by many goroutines at once.
type budget struct {
	perSecond float64

	mu   *sync.Mutex
	left float64
	at   time.Time
}

// newBudget is one that is full: with what comes in a second.
func newBudget(perSecond float64) budget {
	return budget{perSecond: perSecond, mu: new(sync.Mutex), left: perSecond}
}

// take takes a token, if there is one.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.left = min(b.perSecond, b.left+now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

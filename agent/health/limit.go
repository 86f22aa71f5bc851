package health

import (
	"context"
	"sync"
	"time"
)

// slotTime is how long a probe counts as beginning. What is dear of a probe is
// its start; one that hangs must not hold others back.
const slotTime = 2 * time.Second

// Limit bounds how many probes begin at the same time.
type Limit chan struct{}

// NewLimit returns a Limit of n.
func NewLimit(n int) Limit { return make(Limit, n) }

// enter waits for a place, which is given back by leave or after slotTime.
func (l Limit) enter(ctx context.Context) (leave func(), err error) {
	select {
	case l <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var once sync.Once
	free := func() { once.Do(func() { <-l }) }
	alarm := time.AfterFunc(slotTime, free)
	return func() {
		alarm.Stop()
		free()
	}, nil
}

package image

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// stallRule ends a transfer that moves less than bytes in each period.
type stallRule struct {
	bytes  int64
	period time.Duration
}

var defaultStall = stallRule{bytes: 32 << 10, period: 30 * time.Second}

var errStalled = errors.New("too few bytes were moved")

// watcher holds one transfer to a stallRule: ctx ends when it is broken.
type watcher struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	moved  atomic.Int64
	stop   chan struct{}
	once   sync.Once
	done   sync.WaitGroup
}

// watch begins to look at a transfer. end must be called.
func watch(ctx context.Context, rule stallRule) *watcher {
	w := &watcher{stop: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.done.Go(func() {
		ticker := time.NewTicker(rule.period)
		defer ticker.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-ticker.C:
				if w.moved.Swap(0) < rule.bytes {
					w.cancel(errStalled)
					return
				}
			}
		}
	})
	return w
}

// count tells of bytes that were moved.
func (w *watcher) count(n int64) { w.moved.Add(n) }

// rest ends the looking: what follows may take its time.
func (w *watcher) rest() { w.once.Do(func() { close(w.stop) }) }

// end ends the looking and ctx.
func (w *watcher) end() {
	w.rest()
	w.done.Wait()
	w.cancel(nil)
}

// stalled tells whether the rule was broken.
func (w *watcher) stalled() bool { return errors.Is(context.Cause(w.ctx), errStalled) }

const (
	transferAttempts = 5
	firstPause       = 200 * time.Millisecond
)

// retried does work again, after pauses that grow, while it fails because the
// registry cannot be reached.
func retried(ctx context.Context, work func() error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := work()
		if err == nil || attempt == transferAttempts || !model.IsKind(err, model.KindUnavailable) || ctx.Err() != nil || errors.Is(err, errStalled) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause *= 2
	}
}

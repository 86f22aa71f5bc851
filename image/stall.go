package image

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// stallRule ends a transfer that moves too little: less than bytes in a period,
// less than steady in as many periods as steadyOver, or less than contested in a
// period in which others wait for what it holds. So a registry that drips cannot
// hold anything for ever, and holds up nobody whom another registry would serve.
type stallRule struct {
	period     time.Duration
	bytes      int64
	steady     int64
	steadyOver int
	contested  int64
}

var defaultStall = stallRule{period: 30 * time.Second, bytes: 32 << 10, steady: 1 << 20, steadyOver: 4, contested: 2 << 20}

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

// watch begins to look at a transfer. end must be called. contested reports
// whether others wait for what the transfer holds.
func watch(ctx context.Context, rule stallRule, contested func() bool) *watcher {
	w := &watcher{stop: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	judge := judge{rule: rule}
	w.done.Go(func() {
		ticker := time.NewTicker(rule.period)
		defer ticker.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-ticker.C:
				if judge.stalled(w.moved.Swap(0), contested()) {
					w.cancel(errStalled)
					return
				}
			}
		}
	})
	return w
}

// uncontested is of transfers that hold nothing which others want.
func uncontested() bool { return false }

// judge holds a transfer's periods to a rule.
type judge struct {
	rule      stallRule
	last      []int64 // bytes of the latest periods, at most steadyOver
	contested bool    // at the end of the period before
}

// stalled judges one more period.
func (j *judge) stalled(moved int64, contested bool) bool {
	throughout := contested && j.contested
	j.contested = contested
	j.last = append(j.last, moved)
	if len(j.last) > j.rule.steadyOver {
		j.last = j.last[1:]
	}
	var steady int64
	for _, n := range j.last {
		steady += n
	}
	return moved < j.rule.bytes || throughout && moved < j.rule.contested ||
		len(j.last) == j.rule.steadyOver && steady < j.rule.steady
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

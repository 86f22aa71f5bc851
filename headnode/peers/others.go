package peers

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// othersTimeout bounds one question to one head.
	othersTimeout = 3 * time.Second
	// silenceGap is how far apart two unanswered questions may be and count as
	// one silence: in between nobody knows.
	silenceGap = time.Minute
)

// Others asks all other heads the same. It is safe for concurrent use.
type Others struct {
	list    func() []string // ids of the other heads
	forsake time.Duration

	mu     sync.Mutex
	silent map[string]silence
}

// silence is when a head did not answer for the first and for the latest time.
type silence struct{ first, latest time.Time }

// NewOthers returns what asks the heads whose ids list gives. One that has not
// answered for as long as forsake does not count.
func NewOthers(list func() []string, forsake time.Duration) *Others {
	return &Others{list: list, forsake: forsake, silent: map[string]silence{}}
}

// Ask calls ask for each of the other heads, all at once, and returns when all
// have answered. An error means that one of them did not, or refused, and is
// not to be passed over; a head that has not answered for long does not count.
func (o *Others) Ask(ctx context.Context, ask func(ctx context.Context, id string) error) error {
	ids := o.list()
	errs := make([]error, len(ids))
	var asking sync.WaitGroup
	for i, id := range ids {
		asking.Go(func() {
			one, cancel := context.WithTimeout(ctx, othersTimeout)
			defer cancel()
			errs[i] = o.judge(ctx, id, ask(one, id))
		})
	}
	asking.Wait()
	return errors.Join(errs...)
}

// judge notes which heads answer. An error with which a head refuses is an
// answer.
func (o *Others) judge(ctx context.Context, id string, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	absent := errors.Is(err, ErrAgain) || errors.Is(err, context.DeadlineExceeded)
	if !absent {
		delete(o.silent, id)
		return err
	}
	now, s := time.Now(), o.silent[id]
	if now.Sub(s.latest) > silenceGap {
		s.first = now
	}
	s.latest = now
	o.silent[id] = s
	if now.Sub(s.first) > o.forsake {
		return nil
	}
	return err
}

package agent

import (
	"context"
	"io"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
)

// stream carries messages of work that is under way to whoever asked for it.
// The work ends with the request's context, with Close, and with the agent.
type stream[M any] struct {
	ctx      context.Context
	cancel   context.CancelFunc
	unbind   func() bool
	messages chan M // closed after the last
	close    sync.Once
}

// carry starts work that sends messages.
func carry[M any](ctx context.Context, a *Agent, work func(s *stream[M])) (*stream[M], error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream[M]{ctx: ctx, cancel: cancel, messages: make(chan M, 64)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		cancel()
		return nil, model.Errorf(model.KindUnavailable, "the node is shutting down; try again when it is back")
	}
	s.unbind = context.AfterFunc(a.running, cancel)
	a.loops.Go(func() {
		defer close(s.messages)
		work(s)
	})
	return s, nil
}

// send passes a message on, or drops it when nobody listens any more.
func (s *stream[M]) send(m M) {
	select {
	case s.messages <- m:
	case <-s.ctx.Done():
	}
}

// Next returns the next message; io.EOF is the end.
func (s *stream[M]) Next() (M, error) {
	var none M
	select {
	case m, more := <-s.messages:
		if !more {
			return none, io.EOF
		}
		return m, nil
	case <-s.ctx.Done():
		return none, s.ctx.Err()
	}
}

// Close ends the work.
func (s *stream[M]) Close() error {
	s.close.Do(func() {
		s.unbind()
		s.cancel()
	})
	return nil
}

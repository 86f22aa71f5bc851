package quorum

import (
	"context"
	"sync"
)

// shared asks a question on behalf of everybody who waits for its answer. Who
// comes while it is being asked waits for the next one: an answer to a question
// asked before one's own call may be too old.
type shared struct {
	ask     func(context.Context) (uint64, error)
	life    context.Context // of the questions: its owner ends it
	running *sync.WaitGroup

	mu      sync.Mutex
	current *question
	next    *question
}

// question is asked once.
type question struct {
	done  chan struct{}
	index uint64
	err   error
}

// get returns the answer to a question that begins after the call.
func (s *shared) get(ctx context.Context) (uint64, error) {
	q := s.join()
	select {
	case <-q.done:
		return q.index, q.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *shared) join() *question {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		s.current = &question{done: make(chan struct{})}
		s.begin(s.current)
		return s.current
	}
	if s.next == nil {
		s.next = &question{done: make(chan struct{})}
	}
	return s.next
}

// begin asks, and then the question that has come up meanwhile. The caller
// holds mu.
func (s *shared) begin(q *question) {
	s.running.Go(func() {
		for q != nil {
			q.index, q.err = s.ask(s.life)
			close(q.done)
			s.mu.Lock()
			s.current, s.next = s.next, nil
			q = s.current
			s.mu.Unlock()
		}
	})
}

package headnode

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// requests are those of users that are being answered. It knows streams from
// questions when the head stops: what has begun to be answered and goes on is a
// stream, which has no end of its own, and its client asks another head. A
// question is answered within seconds.
type requests struct {
	running sync.WaitGroup

	mu     sync.Mutex
	open   map[*request]bool
	ending bool
}

// request is one of them.
type request struct {
	end   context.CancelFunc
	begun atomic.Bool // to be answered
	of    *requests
}

// count has next answer, and counts what it answers. An http.Server does not
// wait for requests that have taken over their connection.
func (s *requests) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		one := &request{end: cancel, of: s}
		s.running.Add(1)
		defer s.running.Done()
		s.add(one)
		defer s.remove(one)
		next.ServeHTTP(&answer{w, one}, r.WithContext(ctx))
	})
}

func (s *requests) add(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*request]bool{}
	}
	s.open[r] = true
}

func (s *requests) remove(r *request) {
	s.mu.Lock()
	delete(s.open, r)
	s.mu.Unlock()
	r.end()
}

// endStreams ends the streams that there are, and those that begin later.
func (s *requests) endStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	for r := range s.open {
		if r.begun.Load() {
			r.end()
		}
	}
}

// wait returns when all have ended. No new ones may begin meanwhile.
func (s *requests) wait(most time.Duration) error {
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(most):
		return errors.New("they were left to end with the process")
	}
}

// begin notes that the answer begins.
func (r *request) begin() {
	if !r.begun.CompareAndSwap(false, true) {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	if r.of.ending {
		r.end()
	}
}

// answer is a ResponseWriter that notes when the answer begins.
type answer struct {
	http.ResponseWriter
	request *request
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.request.begin()
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.request.begin()
	return a.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	a.request.begin()
	_ = http.NewResponseController(a.ResponseWriter).Flush() // a client that has gone is noticed elsewhere
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.request.begin()
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

package headnode

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// requestCount knows when no request is being answered. An http.Server does
// not wait for those that have taken over their connection.
type requestCount struct{ running sync.WaitGroup }

func (c *requestCount) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.running.Add(1)
		defer c.running.Done()
		next.ServeHTTP(w, r)
	})
}

// wait returns when all have ended. No new ones may begin meanwhile.
func (c *requestCount) wait(most time.Duration) error {
	done := make(chan struct{})
	go func() {
		c.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(most):
		return errors.New("they were left to end with the process")
	}
}

package transfers

import (
	"context"
	"slices"
	"sync"
)

// claims sees to it that one step at a time is taken with a container: those
// that go a way together share its steps, and have others of their own before
// and after it. The zero value has none.
type claims struct {
	mu    sync.Mutex
	held  map[string]bool // by container
	freed chan struct{}   // closed when some are given back
}

// take waits until nobody has any of ids, and has all of them until the
// returned function is called. The only error is that of ctx.
func (c *claims) take(ctx context.Context, ids []string) (release func(), err error) {
	for {
		freed, taken := c.try(ids)
		if taken {
			return func() { c.give(ids) }, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try takes all of ids or none; then it returns what tells when to try again.
func (c *claims) try(ids []string) (freed <-chan struct{}, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held, c.freed = map[string]bool{}, make(chan struct{})
	}
	if slices.ContainsFunc(ids, func(id string) bool { return c.held[id] }) {
		return c.freed, false
	}
	for _, id := range ids {
		c.held[id] = true
	}
	return nil, true
}

func (c *claims) give(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.held, id)
	}
	close(c.freed)
	c.freed = make(chan struct{})
}

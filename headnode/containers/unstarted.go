package containers

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// failedStarts tells those who wait for the removal of a container that its
// start has failed: docker run --rm goes on waiting for it then. The zero value
// is ready.
type failedStarts struct {
	mu      sync.Mutex
	waiters map[string][]chan struct{} // by container id
}

// wait returns a channel that is closed when a start of the container fails.
// The returned function ends that.
func (f *failedStarts) wait(id string) (failed <-chan struct{}, end func()) {
	told := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiters == nil {
		f.waiters = map[string][]chan struct{}{}
	}
	f.waiters[id] = append(f.waiters[id], told)
	return told, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.waiters[id] = slices.DeleteFunc(f.waiters[id], func(c chan struct{}) bool { return c == told })
		if len(f.waiters[id]) == 0 {
			delete(f.waiters, id)
		}
	}
}

// tell tells all who wait.
func (f *failedStarts) tell(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, told := range f.waiters[id] {
		close(told)
	}
	delete(f.waiters, id)
}

// discardRefused removes a container that was to be removed when it ends and
// whose first start was refused, as with Docker: docker run --rm waits for that.
func (s *Service) discardRefused(ctx context.Context, agent wire.Agent, c *model.Container) {
	if !c.Spec.AutoRemove || c.State.Status != model.StatusCreated {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if _, err := agent.Remove(ctx, c.ID, wire.RemoveRequest{}); err != nil {
		s.log.Warn("cannot remove a container that could not start", "container", c.ID, "node", c.NodeID, "err", err)
	}
}

// discardInterval is between two attempts to reach a node.
const discardInterval = time.Second

// discardUnstarted removes a container that was to be removed when it ends and
// whose node could not be reached to start it, once it can be. If it runs
// nevertheless, its end removes it.
func (s *Service) discardUnstarted(ctx context.Context, c *model.Container, failed <-chan struct{}) {
	select {
	case <-failed:
	case <-ctx.Done():
		return
	}
	again := time.NewTicker(discardInterval)
	defer again.Stop()
	for {
		_, err := s.agents.Agent(c.NodeID).Remove(ctx, c.ID, wire.RemoveRequest{})
		if !model.IsKind(err, model.KindUnavailable) {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

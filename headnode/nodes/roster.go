package nodes

import (
	"context"
	"sync"
	"time"
)

// rosterInterval is between two looks at who the nodes are.
const rosterInterval = 100 * time.Millisecond

// each runs do for every approved node, in a goroutine of its own that ends
// with the node or its address, until ctx ends and all have returned.
func (s *Set) each(ctx context.Context, do func(ctx context.Context, nodeID string)) {
	var running sync.WaitGroup
	defer running.Wait()
	r := roster{set: s, do: do, running: &running, attended: map[string]attendant{}}
	pace := time.NewTicker(rosterInterval)
	defer pace.Stop()
	for {
		changed := s.Store.Changed()
		r.renew(ctx)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
	}
}

type roster struct {
	set      *Set
	do       func(context.Context, string)
	running  *sync.WaitGroup
	attended map[string]attendant // by node id
}

// attendant is one node's goroutine.
type attendant struct {
	address string
	stop    context.CancelFunc
	done    chan struct{}
}

// renew starts attendants of nodes that are new and stops those of nodes that
// are gone or have moved.
func (r *roster) renew(ctx context.Context) {
	wanted := map[string]string{}
	for _, n := range r.set.Store.View().Nodes() {
		if n.Approved && n.Address != "" {
			wanted[n.ID] = n.Address
		}
	}
	for id, a := range r.attended {
		if wanted[id] != a.address {
			a.stop()
			<-a.done
			delete(r.attended, id)
		}
	}
	for id, address := range wanted {
		if _, ok := r.attended[id]; ok {
			continue
		}
		nodeCtx, stop := context.WithCancel(ctx)
		a := attendant{address: address, stop: stop, done: make(chan struct{})}
		r.attended[id] = a
		r.running.Go(func() {
			defer close(a.done)
			defer stop()
			r.do(nodeCtx, id)
		})
	}
}

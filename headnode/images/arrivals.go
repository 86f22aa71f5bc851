package images

import "sync"

// arrivals counts, by node, the archives that accounts are sending to it: what
// such a node has taken out of one, and what is not named yet, is not removed
// from it. Sending may take hours, so sweeps of other nodes go on meanwhile.
// The zero value has none.
type arrivals struct {
	mu    sync.Mutex
	nodes map[string]int
}

// expect notes that an archive is going to a node, once no sweep is under way,
// and returns what ends that.
func (s *Service) expect(nodeID string) (done func()) {
	s.bytes.RLock()
	defer s.bytes.RUnlock()
	s.arrivals.add(nodeID, 1)
	return func() { s.arrivals.add(nodeID, -1) }
}

func (a *arrivals) add(nodeID string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes == nil {
		a.nodes = map[string]int{}
	}
	a.nodes[nodeID] += n
	if a.nodes[nodeID] == 0 {
		delete(a.nodes, nodeID)
	}
}

package raftstore

import "github.com/hashicorp/raft"

// leaderWatch tells who waits when this head learns of another leader.
type leaderWatch struct {
	changed  *broadcast
	seen     chan raft.Observation
	observer *raft.Observer
}

func newLeaderWatch() *leaderWatch {
	w := &leaderWatch{changed: newBroadcast(), seen: make(chan raft.Observation, 16)}
	w.observer = raft.NewObserver(w.seen, false, func(o *raft.Observation) bool {
		_, leader := o.Data.(raft.LeaderObservation)
		return leader
	})
	return w
}

// run passes on what raft observes until ended is closed. If some of it is
// dropped because it is too much at once, what follows wakes the same.
func (w *leaderWatch) run(ended <-chan struct{}) {
	for {
		select {
		case <-w.seen:
			w.changed.send()
		case <-ended:
			return
		}
	}
}

// LeaderChanged is closed when this head learns that another head leads, or
// none. Take it before the Leader that is to be compared with.
func (s *Store) LeaderChanged() <-chan struct{} { return s.leaders.changed.next() }

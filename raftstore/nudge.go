package raftstore

import "context"

// nudges lets the other heads know at once that an entry is agreed on. Raft
// tells them with the next entry or, when none comes, with a message every
// CommitTimeout: often enough for that would be a load on every idle head. So
// the leader follows an entry with one of its own that says nothing, unless
// another one is on its way already. Requests at other heads wait for this.
type nudges chan struct{}

func newNudges() nudges { return make(nudges, 1) }

// due notes that an entry has come into force.
func (n nudges) due() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// nudge serves the nudges until the store is closed or has failed.
func (s *Store) nudge() {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	s.watcher.Go(func() {
		select {
		case <-s.stop:
			end()
		case <-ctx.Done():
		}
	})
	for {
		select {
		case <-s.nudges:
		case <-ctx.Done():
			return
		case <-s.failed.ch:
			return
		}
		if s.onlyVoter() || !s.IsLeader() || s.raft.LastIndex() > s.raft.CommitIndex() {
			continue
		}
		// Who waits for the entry does not depend on this.
		_ = s.await(ctx, s.raft.Barrier(enqueueTimeout))
	}
}

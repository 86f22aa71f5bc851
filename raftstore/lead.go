package raftstore

import "github.com/hashicorp/raft"

// IsLeader reports whether this head believes that it leads. VerifyLeader asks
// the others.
func (s *Store) IsLeader() bool { return s.raft.State() == raft.Leader }

// Leader returns the id and raft address of the leader, both empty if none is
// known.
func (s *Store) Leader() (id, address string) {
	a, i := s.raft.LeaderWithID()
	return string(i), string(a)
}

// LeadershipChanges tells when this head begins and ceases to lead. Only the
// latest change is kept for a slow reader; there should be one reader. A new
// leader calls Barrier before it decides on what its View shows.
func (s *Store) LeadershipChanges() <-chan bool { return s.raft.LeaderCh() }

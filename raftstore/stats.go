package raftstore

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Head is one that takes part in raft.
type Head struct {
	ID      string `json:"id"`
	Address string `json:"address"` // raft's, host:port
	Voter   bool   `json:"voter"`   // false while it catches up
	// Contact is when the head last answered the leader. It is known on the
	// leader only, for the other heads.
	Contact time.Time `json:"contact,omitzero"`
	// Lag is by how many entries it was behind then.
	Lag uint64 `json:"lag"`
}

// Stats is a picture of the store for operators.
type Stats struct {
	Role         string    `json:"role"` // Leader, Follower, Candidate or Shutdown
	Term         uint64    `json:"term"`
	LastIndex    uint64    `json:"last_index"`
	CommitIndex  uint64    `json:"commit_index"`
	AppliedIndex uint64    `json:"applied_index"`
	Leader       string    `json:"leader"`                // id, empty if none is known
	LastContact  time.Time `json:"last_contact,omitzero"` // with the leader; zero on the leader
	Heads        []Head    `json:"heads"`
	Warnings     []string  `json:"warnings,omitempty"` // for operators, each a sentence
}

// Stats returns the picture of this moment.
func (s *Store) Stats() Stats {
	leader, _ := s.Leader()
	st := Stats{
		Role:         s.raft.State().String(),
		Term:         s.raft.CurrentTerm(),
		LastIndex:    s.raft.LastIndex(),
		CommitIndex:  s.raft.CommitIndex(),
		AppliedIndex: s.raft.AppliedIndex(),
		Leader:       leader,
	}
	leads := s.IsLeader()
	if !leads {
		st.LastContact = s.raft.LastContact()
	}
	voters := 0
	for _, server := range s.servers() {
		h := Head{ID: string(server.ID), Address: string(server.Address), Voter: server.Suffrage == raft.Voter}
		if h.Voter {
			voters++
		}
		if f := s.peers.of(server.ID); leads && server.ID != s.id && !f.contact.IsZero() {
			h.Contact, h.Lag = f.contact, st.LastIndex-min(f.last, st.LastIndex)
		}
		st.Heads = append(st.Heads, h)
	}
	if voters > 0 && voters%2 == 0 {
		st.Warnings = append(st.Warnings, fmt.Sprintf(
			"%d heads have a vote: they survive the loss of no more of them than %d would; add or remove one", voters, voters-1))
	}
	return st
}

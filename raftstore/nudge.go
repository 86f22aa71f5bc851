package raftstore

import (
	"sync"

	"github.com/hashicorp/raft"
)

// nudges lets the other heads know at once that an entry is agreed on. Raft
// tells them with the next entry or, when none comes, with a message every
// CommitTimeout: often enough for that would be a load on every idle head, and
// requests at other heads wait for it. So a leader sends each head that has the
// entry raft's own message once more, without entries: neither side writes
// anything for it. It says nothing that is not true for ever, since what is
// agreed on is, and whoever gets it compares the entry with its own; so it does
// not matter when it arrives, nor whether its sender leads then.
//
// It is the transport that raft gets, because raft tells nobody else which head
// has which entries.
type nudges struct {
	transport
	due chan struct{} // somebody may have to be told

	mu    sync.Mutex
	heads map[raft.ServerID]*told
}

// told is what another head has agreed to have of the leader of a term.
type told struct {
	term   uint64
	has    uint64 // the last of the leader's entries that it is known to have
	commit uint64 // how far it knows that they are agreed on
	busy   bool   // a nudge is on its way
}

func newNudges(t transport) *nudges {
	return &nudges{transport: t, due: make(chan struct{}, 1), heads: map[raft.ServerID]*told{}}
}

// now notes that an entry has come into force, or that a head has got some.
func (n *nudges) now() {
	select {
	case n.due <- struct{}{}:
	default:
	}
}

// AppendEntries implements raft.Transport.
func (n *nudges) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := n.transport.AppendEntries(id, target, args, resp); err != nil {
		return err
	}
	if resp.Success && n.note(id, args) {
		n.now()
	}
	return nil
}

// note reports whether a head has got entries.
func (n *nudges) note(id raft.ServerID, args *raft.AppendEntriesRequest) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.heads[id]
	switch {
	case t == nil || t.term < args.Term:
		t = &told{term: args.Term, busy: t != nil && t.busy}
		n.heads[id] = t
	case t.term > args.Term:
		return false
	}
	has := args.PrevLogEntry
	if len(args.Entries) > 0 {
		has = args.Entries[len(args.Entries)-1].Index
	}
	t.has = max(t.has, has)
	t.commit = max(t.commit, min(args.LeaderCommitIndex, t.has))
	return len(args.Entries) > 0
}

// begin reports whether a head is to be told of a term's commit index, and is
// not being told anything yet. If so, end must be called.
func (n *nudges) begin(id raft.ServerID, term, commit uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.heads[id]
	if t == nil || t.busy || t.term != term || t.has < commit || t.commit >= commit {
		return false
	}
	t.busy = true
	return true
}

func (n *nudges) end(id raft.ServerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heads[id].busy = false
}

// nudge serves the nudges until the store is closed or has failed.
func (s *Store) nudge() {
	for {
		select {
		case <-s.nudges.due:
			s.tellOthers()
		case <-s.stop:
			return
		case <-s.failed.ch:
			return
		}
	}
}

// tellOthers tells the other heads what is agreed on. While more entries are on their
// way it leaves that to them.
func (s *Store) tellOthers() {
	term, commit := s.raft.CurrentTerm(), s.raft.CommitIndex()
	if !s.IsLeader() || s.raft.CurrentTerm() != term || s.raft.LastIndex() > commit {
		return
	}
	var last raft.Log
	if s.logs.GetLog(commit, &last) != nil {
		return // a snapshot has taken its place: that was long ago
	}
	for _, server := range s.servers() {
		if server.ID == s.id || !s.nudges.begin(server.ID, term, commit) {
			continue
		}
		request := raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{
				ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(s.id), Addr: s.nudges.EncodePeer(s.id, s.nudges.LocalAddr()),
			},
			Term: term, PrevLogEntry: commit, PrevLogTerm: last.Term, LeaderCommitIndex: commit,
		}
		if !s.inflight.run(func() { s.nudgeOne(server, &request) }) {
			s.nudges.end(server.ID)
		}
	}
}

// nudgeOne tells one head. One that does not answer is raft's matter.
func (s *Store) nudgeOne(server raft.Server, request *raft.AppendEntriesRequest) {
	var response raft.AppendEntriesResponse
	err := s.nudges.AppendEntries(server.ID, server.Address, request, &response)
	s.nudges.end(server.ID)
	if err == nil && s.raft.CommitIndex() > request.LeaderCommitIndex {
		s.nudges.now() // what came meanwhile was left to this
	}
}

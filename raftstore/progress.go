package raftstore

import (
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transport is how raft reaches the other heads.
type transport interface {
	raft.Transport
	raft.WithPreVote
	io.Closer
}

// follower is what another head has answered to this one as the leader.
type follower struct {
	last    uint64    // entry in its log
	contact time.Time // of the latest answer
	// followed is when the latest request was sent by whose answer the head
	// has followed this one in the term.
	followed time.Time
	term     uint64
}

// observed is a transport that notes what the followers answer to heartbeats:
// raft itself tells nobody how far they are.
type observed struct {
	transport
	changed *broadcast

	mu        sync.Mutex
	followers map[raft.ServerID]follower
}

func observe(t transport) *observed {
	return &observed{transport: t, changed: newBroadcast(), followers: map[raft.ServerID]follower{}}
}

// AppendEntries implements raft.Transport. Heartbeats come this way too.
func (o *observed) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := time.Now()
	if err := o.transport.AppendEntries(id, target, args, resp); err != nil {
		return err
	}
	o.mu.Lock()
	f := o.followers[id]
	f.last, f.contact = resp.LastLog, time.Now()
	if resp.Success && (args.Term > f.term || sent.After(f.followed)) {
		f.followed, f.term = sent, args.Term
	}
	o.followers[id] = f
	o.mu.Unlock()
	o.changed.send()
	return nil
}

// of returns what is known of a follower; the zero value is nothing.
func (o *observed) of(id raft.ServerID) follower {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.followers[id]
}

// forget drops what is known of a head that is to begin anew.
func (o *observed) forget(id raft.ServerID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.followers, id)
}

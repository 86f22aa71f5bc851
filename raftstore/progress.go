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

// follower is how far another head has come, by its latest answer.
type follower struct {
	last    uint64 // entry in its log
	contact time.Time
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
	if err := o.transport.AppendEntries(id, target, args, resp); err != nil {
		return err
	}
	o.mu.Lock()
	o.followers[id] = follower{last: resp.LastLog, contact: time.Now()}
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

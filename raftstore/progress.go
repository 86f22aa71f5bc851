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
// raft itself tells nobody how far they are. It also holds raft back from
// sending entries to a head that is away: see untilBack.
type observed struct {
	transport
	changed *broadcast
	stop    <-chan struct{} // closed when nobody is to be waited for any more

	mu        sync.Mutex
	followers map[raft.ServerID]follower
}

func observe(t transport, stop <-chan struct{}) *observed {
	return &observed{transport: t, changed: newBroadcast(), stop: stop, followers: map[raft.ServerID]follower{}}
}

// AppendEntries implements raft.Transport. Heartbeats come this way too.
func (o *observed) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := time.Now()
	if err := o.transport.AppendEntries(id, target, args, resp); err != nil {
		if !isHeartbeat(args) {
			o.untilBack(id, time.Now())
		}
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

// InstallSnapshot implements raft.Transport.
func (o *observed) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	err := o.transport.InstallSnapshot(id, target, args, resp, data)
	if err != nil {
		o.untilBack(id, time.Now())
	}
	return err
}

// isHeartbeat reports whether a request carries nothing. All others name the
// entry that comes before theirs, and the first one of a data center brings it.
func isHeartbeat(args *raft.AppendEntriesRequest) bool {
	return args.PrevLogEntry == 0 && len(args.Entries) == 0
}

// awayLimit bounds how long raft is held back at once, since nobody tells that
// this head does not lead any more.
const awayLimit = 30 * time.Second

// untilBack returns when a head answers heartbeats again that did not take
// entries at a moment. raft waits twice as long after each failure, up to ten
// seconds, so that a head that was away for some seconds would learn nothing
// for as many more when it is back, and could answer nobody. Held back this way
// it counts one failure for each absence.
func (o *observed) untilBack(id raft.ServerID, moment time.Time) {
	limit := time.NewTimer(awayLimit)
	defer limit.Stop()
	for {
		changed := o.changed.next()
		if o.of(id).contact.After(moment) {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			return
		case <-o.stop:
			return
		}
	}
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

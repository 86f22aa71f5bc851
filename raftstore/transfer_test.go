package raftstore

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// failing counts what raft tries in vain to send to one head.
type failing struct {
	transport
	to                  raft.ServerID
	entries, heartbeats atomic.Int64
}

func (f *failing) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := f.transport.AppendEntries(id, target, args, resp)
	switch {
	case err == nil || id != f.to:
	case isHeartbeat(args):
		f.heartbeats.Add(1)
	default:
		f.entries.Add(1)
	}
	return err
}

// raft doubles its pause with each try that fails. A head that comes back would
// know nothing new for as long again as it was away.
func TestHeadThatWasAwayIsTriedOnce(t *testing.T) {
	t.Parallel()
	r := &ring{t: t}
	counted := map[string]*failing{}
	for i := range 3 {
		m := r.add()
		m.through = func(inner transport) transport {
			f := &failing{transport: inner}
			counted[m.id] = f
			return f
		}
		r.start(m)
		if i == 0 {
			waitReady(t, m.Store)
			continue
		}
		r.join(m)
	}
	leader := r.leader()
	away := r.others(leader)[0]
	tries := counted[leader.id]
	tries.to = raft.ServerID(away.id)
	r.cut(away, true)
	mustPropose(t, leader.Store, account(1))
	await(t, "the leader misses the head", func() bool { return tries.entries.Load() > 0 && tries.heartbeats.Load() > 12 })
	if n := tries.entries.Load(); n > 2 && leader.IsLeader() {
		t.Errorf("entries were sent %d times to a head that does not answer", n)
	}
	r.cut(away, false)
	r.converge(r.heads...)
}

// await polls, because raft has no event for what a test waits for.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := patient(t)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// raft itself would choose the first of those that have most entries.
func TestTheLeadGoesToAHeadThatAnswers(t *testing.T) {
	t.Parallel()
	for i := range 2 {
		r := newRing(t, 3)
		old := r.leader()
		dead := r.others(old)[i]
		r.cut(dead, true)
		await(t, "the leader misses the head", func() bool {
			return time.Since(old.peers.of(raft.ServerID(dead.id)).contact) > firstContact
		})
		ctx, cancel := patient(t)
		defer cancel()
		if err := old.TransferLeadership(ctx); err != nil {
			t.Fatal(err)
		}
		r.leader(dead)
	}
}

// A head that refuses all writes although it leads, because raft remembers a
// handing-on that nobody carries out any more, must not go on.
func TestAHeadThatHandsOnForEverEnds(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1)
	s := r.heads[0].Store
	s.transferred.now()
	if err := s.proposeError(raft.ErrLeadershipTransferInProgress); err == nil || s.Err() != nil {
		t.Fatalf("while the lead is being handed on: %v, and the store has failed with %v", err, s.Err())
	}
	long := time.Now().Add(-2 * transferEnd)
	s.transferred.at.Store(&long)
	_ = s.proposeError(raft.ErrLeadershipTransferInProgress) // as before
	if !errors.Is(s.Err(), errTransferStuck) {
		t.Errorf("the store goes on: %v", s.Err())
	}
}

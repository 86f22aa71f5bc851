package raftstore

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// TestAWriteIsOneEntry: that others are told what is agreed on costs no entry.
func TestAWriteIsOneEntry(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	if err := leader.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	term, before := leader.raft.CurrentTerm(), leader.raft.LastIndex()
	const writes = 20
	for range writes {
		index := mustPropose(t, leader.Store, command.SetSetting{Name: "n", Value: "v"}).Index
		for _, m := range r.heads {
			if err := m.Wait(t.Context(), func(v *state.View) (bool, error) { return v.Index() >= index, nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if leader.raft.CurrentTerm() != term || !leader.IsLeader() {
		t.Skip("another head has taken the lead meanwhile, on a busy machine")
	}
	if added := leader.raft.LastIndex() - before; added != writes {
		t.Errorf("%d writes are %d entries", writes, added)
	}
}

// TestWhoIsNudged: a head is told what is agreed on once, and when it can tell
// that it is so.
func TestWhoIsNudged(t *testing.T) {
	t.Parallel()
	fake := &answering{success: true}
	n := newNudges(fake)
	send := func(request *raft.AppendEntriesRequest) {
		t.Helper()
		if err := n.AppendEntries("b", "b", request, new(raft.AppendEntriesResponse)); err != nil && fake.err == nil {
			t.Fatal(err)
		}
	}
	wants := func(term, commit uint64, want bool, when string) {
		t.Helper()
		if n.begin("b", term, commit) != want {
			t.Errorf("that a head is nudged is %t %s", !want, when)
		}
		if want {
			n.end("b")
		}
	}
	entries := func(from, to uint64) (e []*raft.Log) {
		for i := from; i <= to; i++ {
			e = append(e, &raft.Log{Index: i})
		}
		return e
	}
	wants(1, 1, false, "which nobody has heard of")
	send(&raft.AppendEntriesRequest{Term: 1})
	wants(1, 1, false, "that has only had a heartbeat")
	if len(n.due) != 0 {
		t.Error("a heartbeat causes a nudge")
	}
	send(&raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 3, Entries: entries(4, 6), LeaderCommitIndex: 3})
	if len(n.due) != 1 {
		t.Error("an answer that may have to be followed by a nudge is not noticed")
	}
	wants(1, 7, false, "that does not have the entry")
	wants(1, 3, false, "that knows already")
	wants(2, 6, false, "whose log is only known in an earlier term")
	wants(1, 6, true, "that has the entry and does not know that it is agreed on")
	if !n.begin("b", 1, 6) || n.begin("b", 1, 6) {
		t.Error("two nudges are on their way at once")
	}
	n.end("b")
	fake.success = false
	send(&raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 6, LeaderCommitIndex: 6})
	wants(1, 6, true, "that has refused")
	fake.success, fake.err = true, errors.New("no connection")
	send(&raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 6, LeaderCommitIndex: 6})
	wants(1, 6, true, "that could not be reached")
	fake.err = nil
	send(&raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 6, LeaderCommitIndex: 6})
	wants(1, 6, false, "that has been told")
	send(&raft.AppendEntriesRequest{Term: 2, PrevLogEntry: 5, LeaderCommitIndex: 5})
	wants(1, 6, false, "for a term that is over")
}

// answering is a transport to heads that all say the same.
type answering struct {
	transport
	success bool
	err     error
}

func (a *answering) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, _ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	resp.Success = a.success
	return a.err
}

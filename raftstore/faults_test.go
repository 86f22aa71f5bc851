package raftstore

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// mustRequest is a write that must come into force, whoever leads.
func (r *ring) mustRequest(id string, c command.Command) Result {
	r.t.Helper()
	ctx, cancel := patient(r.t)
	defer cancel()
	result, err := r.request(ctx, id, c)
	if err != nil {
		r.t.Fatalf("%T: %v", c, err)
	}
	return result
}

func TestAnotherHeadTakesOver(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.heads[0]
	mustPropose(t, leader.Store, account(1), node(), network(), container(1))
	_, err := r.heads[1].Propose(t.Context(), account(2))
	var notLeader *NotLeaderError
	if !model.IsKind(err, model.KindUnavailable) || !errors.As(err, &notLeader) || notLeader.LeaderID != "head-0" {
		t.Errorf("a follower answered %v, want an error that names head-0", err)
	}
	r.stop(leader)
	began := time.Now()
	r.mustRequest("r", account(2))
	t.Logf("writes work again after %s", time.Since(began).Round(time.Millisecond))
	r.converge(r.others(leader)...)
}

// A leader that is cut off neither writes nor answers a read that must be
// fresh, and what it had begun is not left behind when it is back.
func TestLeaderIsCutOff(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	old := r.leader()
	mustPropose(t, old.Store, account(1))
	if _, err := old.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.cut(old, true)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if index, err := old.ReadIndex(ctx); err == nil {
		t.Errorf("a head that is cut off says that %d is fresh", index)
	} else if !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := old.Propose(ctx, account(7)); err == nil {
		t.Error("a head that is cut off acknowledged a write")
	}
	r.mustRequest("r", account(2))
	if _, err := old.ReadIndex(ctx); err == nil {
		t.Error("a head that is cut off answers from what was before")
	}
	r.cut(old, false)
	r.converge(r.heads...)
	view, err := r.fresh(ctx, old)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := view.Account("account-2"); !ok {
		t.Error("a fresh read on the old leader does not show what was written meanwhile")
	}
}

// A head that was cut off does not make the others elect anew when it is back.
func TestHeadComesBackWithoutDisturbance(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	term := leader.Stats().Term
	away := r.others(leader)[0]
	r.cut(away, true)
	awaitRole(t, away, raft.Candidate)
	r.mustRequest("r", account(1))
	r.cut(away, false)
	r.converge(r.heads...)
	if now := r.leader(); now != leader || now.Stats().Term != term {
		t.Errorf("%s led in term %d; now %s leads in term %d", leader.id, term, now.id, now.Stats().Term)
	}
}

// awaitRole waits until a head is one of what raft calls roles.
func awaitRole(t *testing.T, m *member, roles ...raft.RaftState) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !slices.Contains(roles, m.raft.State()); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s is %s, not one of %v", m.id, m.raft.State(), roles)
		}
	}
}

func TestLeadersDiskHangs(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	old := r.leader()
	mustPropose(t, old.Store, account(1))
	old.disk.hanging.Store(true)
	r.mustRequest("r", account(2))
	<-old.Failed()
	if old.IsLeader() {
		t.Error("a head whose disk hangs leads")
	}
	r.converge(r.others(old)...)
	close(old.disk.hang)
	old.disk.hanging.Store(false)
	old.Close() // says that the disk did not answer
	old.Store.disk.store.writes.Wait()
}

func TestLeadersDiskIsFull(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	old := r.leader()
	var full error = syscall.ENOSPC
	old.disk.fail.Store(&full)
	r.mustRequest("r", account(1))
	if err := old.Err(); err != nil {
		t.Errorf("a full disk is the end of a head: %v", err)
	}
	old.disk.fail.Store(nil)
	r.converge(r.heads...)
}

// A snapshot that is cut short on its way to a head that is behind is sent
// again.
func TestSnapshotIsInterrupted(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1)
	leader := r.heads[0]
	r.stop(leader)
	var broken atomic.Int32
	leader.through = func(next transport) transport { return &interrupting{transport: next, broken: &broken} }
	r.start(leader)
	waitReady(t, leader.Store)
	compact(t, leader, account(1), node(), network(), container(1))
	late := r.add()
	r.start(late)
	r.join(late)
	if broken.Load() == 0 {
		t.Error("no snapshot was interrupted")
	}
	r.converge(r.heads...)
}

// interrupting breaks the first snapshot that is sent.
type interrupting struct {
	transport
	broken *atomic.Int32
}

func (i *interrupting) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if i.broken.Add(1) == 1 {
		data = io.LimitReader(data, args.Size/2)
	}
	return i.transport.InstallSnapshot(id, target, args, resp, data)
}

// compact leaves what was proposed in a snapshot only.
func compact(t *testing.T, m *member, commands ...command.Command) {
	t.Helper()
	reload := m.raft.ReloadableConfig()
	reload.TrailingLogs = 1
	if err := m.raft.ReloadConfig(reload); err != nil {
		t.Fatal(err)
	}
	mustPropose(t, m.Store, commands...)
	if err := m.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
}

// A head with damaged files stays out, and one that joins under another id
// takes its place.
func TestDamagedHeadIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	mustPropose(t, leader.Store, account(1))
	damaged := r.others(leader)[0]
	r.stop(damaged)
	cut(t, damaged.dir+"/"+databaseFile, 2)
	var refused *DamagedError
	if err := r.open(damaged); !errors.As(err, &refused) {
		t.Fatalf("damaged files got %v", err)
	}
	r.remove(damaged)
	fresh := r.add()
	r.start(fresh)
	r.join(fresh)
	r.heads = r.others(damaged)
	r.converge(r.heads...)
}

// wait returns when a head's view is as wanted.
func (m *member) wait(t *testing.T, wanted func(*state.View) bool) {
	t.Helper()
	ctx, cancel := patient(t)
	defer cancel()
	if err := m.Wait(ctx, func(v *state.View) (bool, error) { return wanted(v), nil }); err != nil {
		t.Fatalf("%s: %v", m.id, err)
	}
}

// Answers to what was asked before do not confirm a leader: they may have
// waited for one that was stopped for a while.
func TestOldAnswersConfirmNothing(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	if _, err := leader.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	term := leader.Stats().Term
	if !leader.followedSince(time.Time{}, term) {
		t.Error("a leader that was just confirmed is not followed")
	}
	if leader.followedSince(time.Now().Add(time.Hour), term) {
		t.Error("an answer confirms a leader for what was asked later")
	}
	if leader.followedSince(time.Time{}, term+1) {
		t.Error("an answer confirms a leader of another term")
	}
}

package raftstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

func TestLateHeadGetsASnapshot(t *testing.T) {
	t.Parallel()
	r := newRing(t, 2)
	compact(t, r.leader(), account(1), node(), network(), container(1))
	late := r.add()
	r.start(late)
	r.join(late)
	r.converge(r.heads...)
}

// A head that cannot be reached gets no vote, so that it costs the others
// nothing.
func TestJoiningOfADeadAddressCostsNothing(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1)
	leader := r.heads[0]
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := leader.Join(ctx, "dead", "dead"); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a head that does not answer: %v", err)
	}
	mustPropose(t, leader.Store, account(1))
	for _, h := range leader.Stats().Heads {
		if h.ID == "dead" && h.Voter {
			t.Error("it has a vote")
		}
	}
	if err := leader.RemoveHead(t.Context(), "dead"); err != nil {
		t.Errorf("it cannot be removed: %v", err)
	}
	if n := len(leader.Stats().Heads); n != 1 {
		t.Errorf("there are %d heads", n)
	}
}

func TestHeadChangesItsAddress(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	moved := r.others(leader)[0]
	if err := leader.Join(t.Context(), moved.id, "elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := leader.Join(t.Context(), moved.id, "elsewhere"); err != nil {
		t.Errorf("to repeat it: %v", err)
	}
	for _, h := range leader.Stats().Heads {
		if h.ID == moved.id && (h.Address != "elsewhere" || !h.Voter) {
			t.Errorf("it is %+v", h)
		}
	}
	if err := leader.Join(t.Context(), moved.id, moved.id); err != nil {
		t.Fatal(err)
	}
	r.converge(r.heads...)
}

func TestNumberOfHeads(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1)
	leader := r.heads[0]
	if w := leader.Stats().Warnings; len(w) != 0 {
		t.Errorf("warnings of one head: %q", w)
	}
	second := r.add()
	r.start(second)
	r.join(second)
	if w := strings.Join(leader.Stats().Warnings, ""); !strings.Contains(w, "2 heads have a vote") {
		t.Errorf("warnings of two heads: %q", w)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, id := range []string{"a", "b", "c"} {
		if err := leader.Join(ctx, id, id); model.IsKind(err, model.KindConflict) {
			t.Fatal(err)
		}
		if ctx.Err() != nil {
			leader.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(id), 0, 0).Error()
		}
	}
	if err := leader.Join(t.Context(), "d", "d"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a sixth head: %v", err)
	}
}

// A head that was removed while it was away is not let in again, and cannot
// make the others elect anew until it is told.
func TestHeadIsRemovedWhileAway(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	absent := r.others(r.leader())[0]
	r.stop(absent)
	r.remove(absent)
	leader := r.leader()
	term := leader.Stats().Term
	r.start(absent)
	awaitRole(t, absent, raft.Candidate, raft.Shutdown) // a leader of before may have told it
	r.mustRequest("r", account(1))
	if now := r.leader(); now == leader && now.Stats().Term != term {
		t.Errorf("the term went from %d to %d", term, now.Stats().Term)
	}
	err := r.lead(func(l *member) error { return l.Join(t.Context(), absent.id, absent.id) }, absent)
	if !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a removed head joins: %v", err)
	}
}

func TestHeadIsRemovedWhileItRuns(t *testing.T) {
	t.Parallel()
	r := newRing(t, 2)
	leader := r.leader()
	gone := r.others(leader)[0]
	r.remove(gone)
	<-gone.Failed()
	if err := gone.Err(); !errors.Is(err, ErrRemoved) {
		t.Errorf("it says %v", err)
	}
	r.stop(gone)
	if err := r.open(gone); !errors.Is(err, ErrRemoved) {
		t.Errorf("its next start: %v", err)
	}
	if err := leader.RemoveHead(t.Context(), leader.id); !model.IsKind(err, model.KindConflict) {
		t.Errorf("the only head is removed: %v", err)
	}
	mustPropose(t, leader.Store, account(2))
}

func TestLeaderIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	old := r.leader()
	var notLeader *NotLeaderError
	if err := old.RemoveHead(t.Context(), old.id); !errors.As(err, &notLeader) {
		t.Fatalf("a leader that removes itself: %v", err)
	}
	r.remove(old) // by the next one
	<-old.Failed()
	r.converge(r.others(old)...)
}

func TestRemovalMustLeaveAQuorum(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	alive, dead := r.others(leader)[0], r.others(leader)[1]
	r.stop(dead)
	leader.peers.mu.Lock()
	leader.peers.followers[raft.ServerID(dead.id)] = follower{contact: time.Now().Add(-2 * inTouch)}
	leader.peers.mu.Unlock()
	if err := leader.RemoveHead(t.Context(), alive.id); !model.IsKind(err, model.KindConflict) && !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("the only other head that answers is removed: %v", err)
	}
	r.remove(dead)
}

// A predecessor that died between the two halves of a removal.
func TestRemovalIsFinished(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	gone := r.others(leader)[0]
	mustPropose(t, leader.Store, command.RemoveHead{ID: gone.id})
	if err := r.lead(func(l *member) error { return l.FinishRemovals(t.Context()) }, gone); err != nil {
		t.Fatal(err)
	}
	if n := len(r.leader().Stats().Heads); n != 2 {
		t.Errorf("%d heads take part", n)
	}
	<-gone.Failed()
	r.converge(r.others(gone)...)
}

func TestLeadIsHandedOn(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	old := r.leader()
	ctx, cancel := patient(t)
	defer cancel()
	if err := r.others(old)[0].TransferLeadership(ctx); err != nil {
		t.Errorf("a head that does not lead: %v", err)
	}
	if err := old.TransferLeadership(ctx); err != nil {
		t.Fatal(err)
	}
	if old.IsLeader() {
		t.Error("it leads still")
	}
	r.stop(old)
	r.mustRequest("r", account(1))

	alone := newRing(t, 1)
	if err := alone.heads[0].TransferLeadership(ctx); err != nil {
		t.Errorf("an only head: %v", err)
	}
	if !alone.heads[0].IsLeader() {
		t.Error("an only head has lost the lead")
	}
}

// What the lost heads alone knew is gone; all else is there, and the lost ones
// are not let in again.
func TestSurvivorGoesOnAlone(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	for _, m := range r.heads {
		mustPropose(t, r.leader().Store, command.PutHead{Head: model.Head{ID: m.id}})
	}
	mustPropose(t, r.leader().Store, account(1), node(), network(), container(1))
	r.converge(r.heads...)
	survivor := r.heads[1]
	for _, m := range r.heads {
		r.stop(m)
	}
	cfg := Config{Dir: survivor.dir, ID: survivor.id, Advertise: survivor.id}
	if err := Recover(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := Recover(t.Context(), cfg); err != nil {
		t.Fatalf("to repeat it: %v", err)
	}
	alone := &ring{t: t, heads: []*member{survivor}}
	alone.start(survivor)
	waitReady(t, survivor.Store)
	v := survivor.View()
	if _, ok := v.ContainerByName("account-1", "container-1"); !ok {
		t.Error("the state is lost")
	}
	if heads := v.Heads(); len(heads) != 1 || heads[0].ID != survivor.id || !v.HeadRemoved("head-0") {
		t.Errorf("the heads are %v", heads)
	}
	mustPropose(t, survivor.Store, account(2))
	next := &member{id: "head-new", dir: t.TempDir()}
	alone.heads = append(alone.heads, next)
	alone.start(next)
	alone.join(next)
	alone.converge(alone.heads...)
}

func TestRecoveryRefusesWhatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Recover(t.Context(), Config{Dir: dir, ID: "head-1", Advertise: "head-1:1"}); err == nil {
		t.Error("a head without a state was recovered")
	}
	dir = t.TempDir()
	fill(t, dir)
	cut(t, dir+"/"+databaseFile, 2)
	var damaged *DamagedError
	if err := Recover(t.Context(), Config{Dir: dir, ID: "head-1", Advertise: "head-1:1"}); !errors.As(err, &damaged) {
		t.Errorf("damaged files were recovered: %v", err)
	}
}

// A backup replaces the state of all heads, also after their restart; indexes
// only go up, so that nobody waits for one that will not come or takes a view
// of before for one of after.
func TestBackupIsRestoredOnAllHeads(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader()
	mustPropose(t, leader.Store, account(1), node(), network())
	var backup bytes.Buffer
	if err := leader.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	later := mustPropose(t, leader.Store, account(2))
	ctx, cancel := patient(t)
	defer cancel()
	if err := leader.Restore(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	restored := func(v *state.View) bool {
		_, before := v.Account("account-1")
		_, after := v.Account("account-2")
		return before && !after
	}
	for _, m := range r.heads {
		m.wait(t, func(v *state.View) bool { return v.Index() > later.Index })
		if !restored(m.View()) {
			t.Errorf("%s does not show the backup", m.id)
		}
		if v, err := r.fresh(ctx, m); err != nil || !restored(v) {
			t.Errorf("a fresh read on %s after the restore: %v", m.id, err)
		}
	}
	r.mustRequest("r", account(3))
	r.converge(r.heads...)
	for _, m := range r.heads {
		r.stop(m)
	}
	for _, m := range r.heads {
		r.start(m)
	}
	r.converge(r.heads...)
	if _, ok := r.leader().View().Account("account-3"); !ok {
		t.Error("what was written after the restore is lost at a restart")
	}
}

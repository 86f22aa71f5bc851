package raftstore

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

func TestMain(m *testing.M) {
	writeAsChild()
	// A database whose disk hangs leaves a goroutine in the kernel, and so do
	// tests that play one.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/spearheadcloud/spearhead/raftstore.(*hangingDisk).StoreLogs"))
}

func TestProposedCommandsShowAndOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	r := mustPropose(t, s, account(1), node(), network(), container(1))
	if got := s.View().Index(); got < r.Index {
		t.Errorf("view has index %d after entry %d was applied", got, r.Index)
	}
	before := stateHash(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	if after := stateHash(t, s); after != before {
		t.Errorf("after the restart the state's hash is %s, was %s", after, before)
	}
	if _, ok := s.View().ContainerByName("account-1", "container-1"); !ok {
		t.Error("the container is gone after the restart")
	}
}

func TestRefusalComesBackAsModelError(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	mustPropose(t, s, account(1))
	twin := account(2)
	twin.Account.Login = "user1"
	_, err := s.Propose(t.Context(), twin)
	if !model.IsKind(err, model.KindConflict) {
		t.Errorf("a second account with the login got %v, want a conflict", err)
	}
}

func TestWaitSeesWhatComesLater(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	done := make(chan error, 1)
	go func() {
		done <- s.Wait(t.Context(), func(v *state.View) (bool, error) {
			_, ok := v.AccountByLogin("user7")
			return ok, nil
		})
	}()
	mustPropose(t, s, account(6), account(7))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Wait(ctx, func(*state.View) (bool, error) { return false, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("wait with an ended context got %v", err)
	}
}

func TestSnapshotIsTakenAndStartedFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustPropose(t, s, account(1), node(), network(), container(1))
	if err := s.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	mustPropose(t, s, command.SetSetting{Name: "a", Value: "b"})
	before := stateHash(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := stateHash(t, mustOpen(t, dir)); after != before {
		t.Errorf("state from snapshot and log has hash %s, want %s", after, before)
	}
}

func TestBackupIsRestoredElsewhere(t *testing.T) {
	t.Parallel()
	from := mustOpen(t, t.TempDir())
	mustPropose(t, from, account(1), node(), network(), container(1))
	var backup bytes.Buffer
	if err := from.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	to := mustOpen(t, t.TempDir())
	mustPropose(t, to, account(2))
	damaged := bytes.Replace(backup.Bytes(), []byte("user1"), []byte("user9"), 1)
	if err := to.Restore(t.Context(), bytes.NewReader(damaged)); err == nil {
		t.Error("a damaged backup was restored")
	}
	if err := to.Restore(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	v := to.View()
	if _, ok := v.Account("account-1"); !ok {
		t.Error("the account of the backup is missing")
	}
	if _, ok := v.Account("account-2"); ok {
		t.Error("the account that was there before the restore is still there")
	}
	mustPropose(t, to, account(3))
}

func TestNewerCommandStopsTheHead(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	mustPropose(t, s, account(1))
	before := stateHash(t, s)
	future := s.raft.Apply([]byte(`{"n":999,"v":1,"c":{}}`), time.Minute)
	if err := future.Error(); err != nil {
		t.Fatal(err)
	}
	<-s.Failed()
	var newer *command.NewerError
	if !errors.As(s.Err(), &newer) {
		t.Errorf("the store failed with %v, want one that asks for a newer version", s.Err())
	}
	if _, err := s.Propose(t.Context(), account(2)); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a failed store answered %v", err)
	}
	if after := stateHash(t, s); after != before {
		t.Error("the state changed after an entry that was not understood")
	}
}

func TestCloseIsRepeatableAndEndsWaits(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	done := make(chan error, 1)
	go func() {
		done <- s.Wait(context.Background(), func(*state.View) (bool, error) { return false, nil })
	}()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("the wait ended with %v", err)
	}
	if _, err := s.Propose(t.Context(), account(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store answered %v", err)
	}
}

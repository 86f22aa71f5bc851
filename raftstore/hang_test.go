package raftstore

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// hangingDisk is a database whose writes block or fail when told to.
type hangingDisk struct {
	backend
	hang    chan struct{} // closed to let writes go on
	hanging atomic.Bool
	fail    atomic.Pointer[error]
	stuck   chan struct{} // closed to let Close go on; nil lets it go on at once
}

func (h *hangingDisk) Close() error {
	if h.stuck != nil {
		<-h.stuck
	}
	return h.backend.Close()
}

func (h *hangingDisk) StoreLogs(entries []*raft.Log) error {
	if h.hanging.Load() {
		<-h.hang
	}
	if err := h.fail.Load(); err != nil {
		return *err
	}
	return h.backend.StoreLogs(entries)
}

// breakable opens the store of a single head with a disk that can be broken.
func breakable(t *testing.T, timeout time.Duration) (*Store, *hangingDisk) {
	t.Helper()
	failed := newFailure()
	d, err := openDisk(t.TempDir(), "head-1", timeout, failed, discard())
	if err != nil {
		t.Fatal(err)
	}
	broken := &hangingDisk{backend: d.store.db, hang: make(chan struct{})}
	d.store.db = broken
	_, trans := raft.NewInmemTransport("head-1")
	s, err := run(Config{ID: "head-1", Bootstrap: true, DiskTimeout: timeout, Logger: discard()}, d, failed, trans)
	if err != nil {
		t.Fatal(err)
	}
	waitReady(t, s)
	return s, broken
}

func TestHangingDiskEndsTheLead(t *testing.T) {
	t.Parallel()
	s, disk := breakable(t, 50*time.Millisecond)
	mustPropose(t, s, account(1))
	disk.hanging.Store(true)
	_, err := s.Propose(t.Context(), account(2))
	if !model.IsKind(err, model.KindUnavailable) || !errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("a write on a hanging disk got %v", err)
	}
	<-s.Failed()
	if s.Err() == nil {
		t.Error("the store has failed without a cause")
	}
	if err := s.Close(); err == nil {
		t.Error("closing files on a hanging disk is said to have gone well")
	}
	if s.IsLeader() {
		t.Error("the head still leads")
	}
	if _, ok := s.View().Account("account-1"); !ok {
		t.Error("the state cannot be read any more")
	}
	close(disk.hang)
	s.disk.store.writes.Wait()
	if err := s.disk.store.Close(); err != nil {
		t.Error(err)
	}
}

func TestFailedWriteIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s, disk := breakable(t, 10*time.Second)
	var eio error = syscall.EIO
	disk.fail.Store(&eio)
	if _, err := s.Propose(t.Context(), account(1)); err == nil {
		t.Error("a write that failed was acknowledged")
	}
	<-s.Failed()
	disk.fail.Store(nil)
	if _, err := s.Propose(t.Context(), account(1)); err == nil {
		t.Error("the store goes on after a failed write")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestFullDiskIsNotTheEnd(t *testing.T) {
	t.Parallel()
	s, disk := breakable(t, 10*time.Second)
	var full error = syscall.ENOSPC
	disk.fail.Store(&full)
	if _, err := s.Propose(t.Context(), account(1)); err == nil {
		t.Error("a write to a full disk was acknowledged")
	}
	disk.fail.Store(nil)
	waitReady(t, s)
	mustPropose(t, s, account(2))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// bbolt's Close waits for the lock of its writer, which a write that ended in a
// fault never gives back.
func TestCloseDoesNotWaitForAnInterruptedWrite(t *testing.T) {
	t.Parallel()
	s, disk := breakable(t, 100*time.Millisecond)
	disk.stuck = make(chan struct{})
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "cannot close the raft database") {
		t.Errorf("closing a locked database: %v", err)
	}
	close(disk.stuck)
}

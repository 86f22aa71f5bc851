package raftstore

import (
	"errors"
	"testing"
)

// Raft would panic if it were told of the failure.
func TestTermThatCannotBeSavedEndsRaftQuietly(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	gone := errors.New("the disk is gone")
	s.disk.store.failed.fail(gone)
	ended := make(chan bool)
	go func() {
		returned := false
		defer func() { ended <- returned }()
		terms{s.disk.store}.SetUint64([]byte(keyCurrentTerm), 99)
		returned = true
	}()
	if <-ended {
		t.Error("raft was told that its term is saved, or that it is not")
	}
	if !errors.Is(s.Err(), gone) {
		t.Errorf("the store's error is %v", s.Err())
	}
	if err := (terms{s.disk.store}).SetUint64([]byte(keyLastVoteTerm), 99); err == nil {
		t.Error("a vote was saved on a disk that is gone")
	}
}

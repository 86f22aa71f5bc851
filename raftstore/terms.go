package raftstore

import "runtime"

// terms is the stable store as raft's own goroutine uses it. Raft panics when
// its term cannot be saved, and would take the process down without a word to
// anybody. The store has failed then: it says so, and the goroutine ends, as
// at raft's shutdown, which follows.
type terms struct{ *checked }

// SetUint64 implements raft.StableStore. It returns only if the value is saved,
// or if raft can go on without.
func (t terms) SetUint64(key []byte, value uint64) error {
	err := t.checked.SetUint64(key, value)
	if err != nil && string(key) == keyCurrentTerm {
		t.failed.fail(err)
		runtime.Goexit()
	}
	return err
}

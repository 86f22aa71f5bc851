package raftstore

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// fsm joins raft's log to the state. raft calls Apply, Snapshot and Restore
// from one goroutine.
type fsm struct {
	id      string // this head's
	state   atomic.Pointer[state.State]
	index   atomic.Uint64 // of the state's view, to look at it cheaply
	changed *broadcast
	failed  *failure
	hashes  *hashes
	removed chan struct{} // closed when this head is removed
	gone    sync.Once
}

func newFSM(id string, failed *failure, work *inflight) *fsm {
	f := &fsm{id: id, changed: newBroadcast(), failed: failed, hashes: newHashes(work), removed: make(chan struct{})}
	f.state.Store(state.New())
	return f
}

// outcome is what Apply returns to Propose.
type outcome struct {
	result Result
	err    error
}

// Apply applies an entry and returns its outcome. An entry that this program
// does not understand ends the store: a head that skipped it would tell
// another story than the rest from then on.
func (f *fsm) Apply(entry *raft.Log) any {
	if err := f.failed.cause(); err != nil {
		return outcome{err: err}
	}
	s := f.state.Load()
	e, err := command.Decode(entry.Data)
	if err != nil {
		err = fmt.Errorf("cannot apply entry %d: %w", entry.Index, err)
		f.failed.fail(err)
		return outcome{err: err}
	}
	index, err := s.Apply(entry.Index, e)
	var known *model.Error
	if err != nil && !errors.As(err, &known) {
		err = fmt.Errorf("cannot apply entry %d: %w", entry.Index, err)
		f.failed.fail(err)
		return outcome{err: err}
	}
	f.index.Store(entry.Index)
	switch c := e.Command.(type) {
	case command.CheckState:
		f.hashes.begin(s.View())
	case command.RemoveHead:
		f.learn(c.ID)
	}
	f.changed.send()
	return outcome{Result{Index: index}, err}
}

// Snapshot freezes the state; it is written while further entries are applied.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.failed.cause(); err != nil {
		return nil, err
	}
	return snapshot{f.state.Load().View()}, nil
}

// Restore replaces the state by a snapshot's.
func (f *fsm) Restore(r io.ReadCloser) error {
	s, err := state.Restore(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	f.state.Store(s)
	v := s.View()
	f.index.Store(v.Index())
	if v.HeadRemoved(f.id) {
		f.learn(f.id)
	}
	f.changed.send()
	return nil
}

// learn notes that a head is removed.
func (f *fsm) learn(removed string) {
	if removed == f.id {
		f.gone.Do(func() { close(f.removed) })
	}
}

type snapshot struct{ view *state.View }

// Persist writes the snapshot to the sink, which makes it durable at Close.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.view.Write(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release has nothing to do: a view holds nothing but memory.
func (snapshot) Release() {}

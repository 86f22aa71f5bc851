package raftstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// Recover makes the head whose files are in cfg.Dir the only one, for a data
// center that has lost so many heads for ever that the rest cannot agree any
// more. Its state is kept, with what it has in its log: writes that only the
// lost heads had are gone. The store must not be open, and the lost heads must
// never start again with their files: they count as removed. The error is a
// *DamagedError if the files cannot be trusted.
func Recover(ctx context.Context, cfg Config) error {
	if err := cfg.complete(); err != nil {
		return fmt.Errorf("cannot recover raft store: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	failed := newFailure()
	d, err := openDisk(cfg.Dir, cfg.ID, cfg.DiskTimeout, failed, cfg.Logger)
	if err != nil {
		return fmt.Errorf("cannot recover raft store: %w", err)
	}
	_, trans := raft.NewInmemTransport(raft.ServerAddress(cfg.Advertise))
	only := raft.Configuration{Servers: []raft.Server{
		{Suffrage: raft.Voter, ID: raft.ServerID(cfg.ID), Address: raft.ServerAddress(cfg.Advertise)},
	}}
	var work inflight
	defer work.close(cfg.DiskTimeout)
	f := &survivor{fsm: newFSM(cfg.ID, failed, &work)}
	err = raft.RecoverCluster(raftConfig(cfg), f, d.store, d.store, d.snapshots, trans, only)
	if err = errors.Join(err, failed.cause(), trans.Close(), d.store.Close()); err != nil {
		return fmt.Errorf("cannot recover raft store: %w", err)
	}
	return nil
}

// survivor is the state of the only head that is left.
type survivor struct{ fsm *fsm }

// Apply implements raft.FSM.
func (s *survivor) Apply(entry *raft.Log) any { return s.fsm.Apply(entry) }

// Restore implements raft.FSM.
func (s *survivor) Restore(r io.ReadCloser) error { return s.fsm.Restore(r) }

// Snapshot implements raft.FSM. raft takes one at the end of a recovery, to
// begin from.
func (s *survivor) Snapshot() (raft.FSMSnapshot, error) {
	if err := s.fsm.failed.cause(); err != nil {
		return nil, err
	}
	if s.fsm.state.Load().View().HeadRemoved(s.fsm.id) {
		return nil, ErrRemoved
	}
	if err := s.fsm.state.Load().Survive(s.fsm.id); err != nil {
		return nil, err
	}
	return s.fsm.Snapshot()
}

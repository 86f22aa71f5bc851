package raftstore

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// IsLeader reports whether this head believes that it leads. VerifyLeader asks
// the others.
func (s *Store) IsLeader() bool { return s.raft.State() == raft.Leader }

// Leader returns the id and raft address of the leader, both empty if none is
// known.
func (s *Store) Leader() (id, address string) {
	a, i := s.raft.LeaderWithID()
	return string(i), string(a)
}

// LeadershipChanges tells when this head begins and ceases to lead. Only the
// latest change is kept for a slow reader; there should be one reader. A new
// leader calls Barrier before it decides on what its View shows.
func (s *Store) LeadershipChanges() <-chan bool { return s.raft.LeaderCh() }

// VerifyLeader returns nil if a quorum of heads still follows this one.
func (s *Store) VerifyLeader(ctx context.Context) error {
	if err := s.await(ctx, s.raft.VerifyLeader()); err != nil {
		return s.proposeError(err)
	}
	return nil
}

// Barrier returns when this head, which must be the leader, has applied all
// that was agreed on before.
func (s *Store) Barrier(ctx context.Context) error {
	if err := s.await(ctx, s.raft.Barrier(enqueueTimeout)); err != nil {
		return s.proposeError(err)
	}
	return nil
}

// readyInterval is how often Ready looks; raft gives no event for it.
const readyInterval = 5 * time.Millisecond

// Ready waits until there is a leader and this head has applied what the
// leader had committed then.
func (s *Store) Ready(ctx context.Context) error {
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		id, _ := s.Leader()
		switch {
		case s.IsLeader():
			if s.Barrier(ctx) == nil {
				return nil
			}
		case id != "" && s.raft.CommitIndex() > 0 && s.raft.AppliedIndex() >= s.raft.CommitIndex():
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cannot wait for a leader: %w", ctx.Err())
		case <-s.failed.ch:
			return s.failed.err
		case <-s.stop:
			return ErrClosed
		}
	}
}

// AppliedIndex is the last entry of the log that this head has applied. It
// may be higher than the view's Index, because raft has entries of its own.
func (s *Store) AppliedIndex() uint64 { return s.raft.AppliedIndex() }

// AddVoter lets another head take part: its id and raft address. It is the
// leader's to call.
func (s *Store) AddVoter(ctx context.Context, id, address string) error {
	if err := s.await(ctx, s.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(address), 0, enqueueTimeout)); err != nil {
		return s.proposeError(err)
	}
	return nil
}

// RemoveVoter takes a head out. It is the leader's to call.
func (s *Store) RemoveVoter(ctx context.Context, id string) error {
	if err := s.await(ctx, s.raft.RemoveServer(raft.ServerID(id), 0, enqueueTimeout)); err != nil {
		return s.proposeError(err)
	}
	return nil
}

// Head is one voter.
type Head struct {
	ID      string
	Address string // raft's, host:port
}

// Stats is a picture of the store for operators.
type Stats struct {
	Role         string // Leader, Follower, Candidate or Shutdown
	Term         uint64
	LastIndex    uint64
	CommitIndex  uint64
	AppliedIndex uint64
	Leader       string // id, empty if none is known
	Heads        []Head
}

// Stats returns the picture of this moment.
func (s *Store) Stats() Stats {
	leader, _ := s.Leader()
	st := Stats{
		Role:         s.raft.State().String(),
		Term:         s.raft.CurrentTerm(),
		LastIndex:    s.raft.LastIndex(),
		CommitIndex:  s.raft.CommitIndex(),
		AppliedIndex: s.raft.AppliedIndex(),
		Leader:       leader,
	}
	future := s.raft.GetConfiguration()
	if future.Error() == nil {
		for _, h := range future.Configuration().Servers {
			st.Heads = append(st.Heads, Head{ID: string(h.ID), Address: string(h.Address)})
		}
	}
	return st
}

// Backup writes this head's state to w, in the form that Restore reads.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := s.View().Write(&contextWriter{ctx, w}); err != nil {
		return fmt.Errorf("cannot write backup: %w", err)
	}
	return nil
}

type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *contextWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// Restore replaces the state of all heads by a backup's. It is the leader's to
// call. The backup is read and checked before anything changes.
func (s *Store) Restore(ctx context.Context, r io.Reader) error {
	backup, err := state.Restore(r)
	if err != nil {
		return fmt.Errorf("cannot restore backup: %w", err)
	}
	timeout := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	view := backup.View()
	var size counter
	if err := view.Write(&size); err != nil {
		return fmt.Errorf("cannot restore backup: %w", err)
	}
	in, out := io.Pipe()
	if !s.inflight.run(func() { out.CloseWithError(view.Write(out)) }) {
		return s.proposeError(raft.ErrRaftShutdown)
	}
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Index: view.Index(), Size: int64(size)}
	err = s.raft.Restore(meta, in, timeout)
	in.CloseWithError(io.ErrClosedPipe)
	if err != nil {
		return s.proposeError(err)
	}
	return nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

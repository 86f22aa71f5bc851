package raftstore

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/raftstore/state"
)

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

// restoreGap is by how much the index goes up at a restore. It leaves room for
// entries that come in meanwhile, so that no view of before has an index as
// high as one of after, and nobody takes the one for the other.
const restoreGap = 1 << 16

// Restore replaces the state of all heads by a backup's, except for who the
// heads are, and lets the journals of the nodes begin anew, since the nodes
// have gone on: see command.ResetJournal. It is the leader's to call. The
// backup is read and checked before anything changes.
func (s *Store) Restore(ctx context.Context, r io.Reader) error {
	backup, err := state.Restore(r)
	if err != nil {
		return fmt.Errorf("cannot restore backup: %w", err)
	}
	if err := backup.Adopt(s.View(), s.raft.LastIndex()+restoreGap); err != nil {
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

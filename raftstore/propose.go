package raftstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// Result is the answer to a command that has come into force.
type Result struct {
	// Index is the entry's. Any head's view with this Index or a higher one
	// shows what the command did.
	Index uint64
}

const (
	enqueueTimeout = 5 * time.Second
	// maxCommand bounds an entry, and so what one message of raft holds.
	maxCommand = 32 << 20
)

// Propose lets the heads agree on c and returns when this head, which must be
// the leader, has applied it. An error of the command itself is the
// *model.Error with which it was refused; then nothing has changed. All other
// errors are of KindUnavailable and wrap a *NotLeaderError, ErrUnknownOutcome
// or ErrClosed. Commands that are proposed at the same time share a write to
// the disk.
func (s *Store) Propose(ctx context.Context, c command.Command) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	data, err := command.Encode(c)
	if err != nil {
		return Result{}, err
	}
	if len(data) > maxCommand {
		return Result{}, model.Errorf(model.KindTooLarge, "the request takes %d bytes in the log, more than the %d allowed", len(data), maxCommand)
	}
	if err := s.failed.cause(); err != nil {
		return Result{}, model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", ErrClosed, err), "this head has failed; another one will take over")
	}
	future := s.raft.Apply(data, enqueueTimeout)
	if err := s.await(ctx, future); err != nil {
		return Result{}, s.proposeError(err)
	}
	if err, refused := future.Response().(error); refused {
		return Result{}, err
	}
	return Result{Index: future.Index()}, nil
}

// await waits for raft's answer. raft forgets some answers when it is shut
// down, so that the end of the store is waited for too.
func (s *Store) await(ctx context.Context, future raft.Future) error {
	done := make(chan error, 1)
	if !s.inflight.run(func() { done <- future.Error() }) {
		return raft.ErrRaftShutdown
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failed.ch:
		return s.failed.err
	case <-s.ended:
		return raft.ErrRaftShutdown
	}
}

// inflight is the goroutines that wait for an answer, until it is closed.
type inflight struct {
	mu     sync.RWMutex
	closed bool
	wg     sync.WaitGroup
}

// run reports whether wait was started.
func (f *inflight) run(wait func()) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return false
	}
	f.wg.Go(wait)
	return true
}

// close lets nothing more in and waits for the others, but not for ever.
func (f *inflight) close(patience time.Duration) {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	waitAtMost(&f.wg, patience)
}

// waitAtMost reports whether wg was done in time.
func waitAtMost(wg *sync.WaitGroup, patience time.Duration) bool {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case <-done:
		return true
	case <-deadline.C:
		return false
	}
}

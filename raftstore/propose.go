package raftstore

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/internal/requestid"
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
// *model.Error with which it was refused; then nothing has changed. What a head
// of an older release does not know is refused, too: KindConflict. All other
// errors are of KindUnavailable and wrap a *NotLeaderError, ErrUnknownOutcome,
// ErrBusy or ErrClosed. Commands that are proposed at the same time share a write to
// the disk.
func (s *Store) Propose(ctx context.Context, c command.Command) (Result, error) {
	return s.ProposeAs(ctx, "", c)
}

// ProposeAs is Propose for a request with an id, which makes it safe to repeat
// when its outcome is unknown: the heads remember the outcome of the latest
// 16,384 ids, and a repetition changes nothing and has the outcome of the first
// time. An id belongs to one command only and has at most 128 bytes.
func (s *Store) ProposeAs(ctx context.Context, requestID string, c command.Command) (Result, error) {
	data, err := command.Encode(command.Entry{Request: requestID, Command: c})
	if err != nil {
		return Result{}, err
	}
	if err := s.checkKnown(c); err != nil {
		return Result{}, err
	}
	return s.propose(ctx, data)
}

// ProposeEncoded is ProposeAs for what another head has encoded with
// command.Encode. What this head does not understand is refused, since it would
// end every head of this version: KindNotImplemented.
func (s *Store) ProposeEncoded(ctx context.Context, entry []byte) (Result, error) {
	e, err := command.Decode(entry)
	if err != nil {
		return Result{}, model.WrapError(model.KindNotImplemented, err,
			"the leading head does not understand the request; update all heads to one version")
	}
	if err := s.checkKnown(e.Command); err != nil {
		return Result{}, err
	}
	return s.propose(ctx, entry)
}

func (s *Store) propose(ctx context.Context, entry []byte) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if len(entry) > maxCommand {
		return Result{}, model.Errorf(model.KindTooLarge, "the request takes %d bytes in the log, more than the %d allowed", len(entry), maxCommand)
	}
	if err := s.failed.cause(); err != nil {
		return Result{}, model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", ErrClosed, err), "this head has failed; another one will take over")
	}
	began := time.Now()
	result, err := s.agree(ctx, entry)
	if s.proposed != nil {
		s.proposed(time.Since(began), err)
	}
	if result.Index > 0 && requestid.Of(ctx) != "" {
		s.log.InfoContext(ctx, "agreed", slog.String("op", "raft"), slog.Uint64("index", result.Index), slog.Any("err", err))
	}
	return result, err
}

// agree returns the outcome of an entry once a quorum has it and this head has
// applied it.
func (s *Store) agree(ctx context.Context, entry []byte) (Result, error) {
	future := s.raft.Apply(entry, enqueueTimeout)
	if err := s.await(ctx, future); err != nil {
		return Result{}, s.proposeError(err)
	}
	s.nudges.now()
	o, _ := future.Response().(outcome)
	return o.result, o.err
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

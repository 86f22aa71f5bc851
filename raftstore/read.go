package raftstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// View returns this head's state of this moment.
func (s *Store) View() *state.View { return s.fsm.state.Load().View() }

// Changed is closed when the next entry has been applied. Take it before the
// View that is to be compared with.
func (s *Store) Changed() <-chan struct{} { return s.fsm.changed.next() }

// Wait returns when cond is true of a view, with cond's error, or with ctx's.
// cond is called now and after each applied entry.
func (s *Store) Wait(ctx context.Context, cond func(*state.View) (bool, error)) error {
	for {
		changed := s.Changed()
		done, err := cond(s.View())
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.failed.ch:
			return s.failed.err
		case <-s.stop:
			return ErrClosed
		}
	}
}

// ReadIndex returns an index that a view must have reached so as to show all
// that was acknowledged, by whichever leader, before the call. Any head that
// has waited for it with WaitApplied may answer a linearizable read from its
// view. This head must lead, and a quorum of heads must confirm it; the error
// is as Propose's.
func (s *Store) ReadIndex(ctx context.Context) (uint64, error) {
	if err := s.failed.cause(); err != nil {
		return 0, s.proposeError(raft.ErrRaftShutdown)
	}
	// What a leader of an earlier term has acknowledged counts as committed
	// only when an entry of this term is.
	term, err := s.settleTerm(ctx)
	if err != nil {
		return 0, err
	}
	asked := time.Now()
	index := s.lastCommand(s.raft.CommitIndex())
	for confirmed := s.onlyVoter(); !confirmed; confirmed = s.followedSince(asked, term) {
		if err := s.VerifyLeader(ctx); err != nil {
			return 0, err
		}
	}
	// A leader that was followed before and is followed again in a later term
	// has perhaps missed what another one did in between.
	if !s.IsLeader() || s.raft.CurrentTerm() != term {
		return 0, s.proposeError(raft.ErrNotLeader)
	}
	return index, nil
}

// followedSince reports whether a quorum has followed this head in the term
// when asked after a moment. raft's own verification is content with answers to
// what it has asked before, which may be old: those that waited for a leader
// that was stopped for a while.
func (s *Store) followedSince(moment time.Time, term uint64) bool {
	voters, followers := 0, 0
	for _, server := range s.servers() {
		if server.Suffrage != raft.Voter {
			continue
		}
		voters++
		f := s.peers.of(server.ID)
		if server.ID == s.id || f.term == term && !f.followed.Before(moment) {
			followers++
		}
	}
	return followers > voters/2
}

// settleTerm returns the current term after an entry of it is committed; there
// is one to wait for only at a leader's first call.
func (s *Store) settleTerm(ctx context.Context) (uint64, error) {
	term := s.raft.CurrentTerm()
	if !s.IsLeader() {
		return 0, s.proposeError(raft.ErrNotLeader)
	}
	if s.settled.Load() == term {
		return term, nil
	}
	if err := s.Barrier(ctx); err != nil {
		return 0, err
	}
	if s.settled.Load() != term {
		return 0, s.proposeError(raft.ErrNotLeader)
	}
	return term, nil
}

// lastCommand is the index of the last command among the entries up to a
// committed one, which is what views can be compared with: raft has entries of
// its own that the state never sees.
func (s *Store) lastCommand(committed uint64) uint64 {
	if s.fsm.index.Load() >= committed {
		return committed
	}
	for i := committed; i > 0; i-- {
		var entry raft.Log
		if err := s.logs.GetLog(i, &entry); err != nil {
			// It is in a snapshot, and those are taken of or restored to the
			// state before the log goes on.
			return s.fsm.index.Load()
		}
		if entry.Type == raft.LogCommand {
			return i
		}
	}
	return 0
}

// onlyVoter reports whether this head is a quorum by itself. Nobody else can
// lead then without having been let in by this head.
func (s *Store) onlyVoter() bool {
	voters, me := 0, false
	for _, server := range s.raft.GetConfiguration().Configuration().Servers {
		if server.Suffrage == raft.Voter {
			voters++
			me = me || server.ID == s.id
		}
	}
	return me && voters == 1
}

// WaitApplied returns when this head's view has reached index, which is a
// Result's or ReadIndex's.
func (s *Store) WaitApplied(ctx context.Context, index uint64) error {
	if s.fsm.index.Load() >= index {
		return nil
	}
	return s.Wait(ctx, func(*state.View) (bool, error) { return s.fsm.index.Load() >= index, nil })
}

// AppliedIndex is the last entry of the log that raft has handed to this head's
// state. It may be higher than the view's Index, because raft has entries of
// its own.
func (s *Store) AppliedIndex() uint64 { return s.raft.AppliedIndex() }

// readyInterval is how often Ready looks; raft gives no event for it.
const readyInterval = 5 * time.Millisecond

// Ready waits until there is a leader and this head has applied what the
// leader had committed then.
func (s *Store) Ready(ctx context.Context) error {
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		id, _ := s.Leader()
		commit := s.raft.CommitIndex()
		switch {
		case s.IsLeader():
			if s.Barrier(ctx) == nil {
				return nil
			}
		case id != "" && commit > 0 && s.raft.AppliedIndex() >= commit:
			return s.WaitApplied(ctx, s.lastCommand(commit))
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

// VerifyLeader returns nil if a quorum of heads still follows this one.
func (s *Store) VerifyLeader(ctx context.Context) error {
	err := s.await(ctx, s.raft.VerifyLeader())
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrLeadershipLost):
		// Nothing was proposed whose outcome could be unknown.
		err = raft.ErrNotLeader
	}
	return s.proposeError(err)
}

// Barrier returns when this head, which must be the leader, has applied all
// that was agreed on before.
func (s *Store) Barrier(ctx context.Context) error {
	term := s.raft.CurrentTerm()
	if err := s.await(ctx, s.raft.Barrier(enqueueTimeout)); err != nil {
		return s.proposeError(err)
	}
	if s.raft.CurrentTerm() == term {
		s.settled.Store(term)
	}
	return nil
}

package raftstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
)

const (
	// transferRetry is between two tries to hand on the lead.
	transferRetry = 50 * time.Millisecond
	// transferEnd is after how long a try is over, whatever raft says of it: its
	// own limit is that of a request to another head.
	transferEnd = 3 * rpcTimeout
)

// errTransferStuck is why a head ends that could never write again.
var errTransferStuck = errors.New("raft believes for ever that the lead is being handed on; this head ends so that another one leads")

// errNobodyAnswers is a passing reason not to hand on the lead.
var errNobodyAnswers = errors.New("no other head that votes answers")

// TransferLeadership hands the lead to the head that is furthest of those that
// answer, so that a leader can stop without a pause of writes. It is nil at once
// for a head that does not lead, or that nobody can take the lead from.
func (s *Store) TransferLeadership(ctx context.Context) error {
	for s.IsLeader() && !s.onlyVoter() {
		err := s.transfer(ctx)
		switch {
		case err == nil, errors.Is(err, raft.ErrNotLeader):
			return nil
		case ctx.Err() != nil:
			return model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", ctx.Err(), err), "no other head could take the lead in time")
		case errors.Is(err, raft.ErrRaftShutdown), s.failed.cause() != nil:
			return s.proposeError(err)
		}
		if !errors.Is(err, errNobodyAnswers) { // raft has taken its time
			s.log.Warn("no other head took the lead; trying again", slog.String("op", "transfer"), slog.Any("err", err))
		}
		select {
		case <-time.After(transferRetry):
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *Store) transfer(ctx context.Context) error {
	to, there := s.successor()
	if !there {
		return errNobodyAnswers
	}
	s.transferred.now()
	defer s.transferred.now()
	return s.await(ctx, s.raft.LeadershipTransferToServer(to.ID, to.Address))
}

// successor is the voter that has most entries of those that have answered
// lately. raft itself would also choose one that is down.
func (s *Store) successor() (best raft.Server, there bool) {
	var known follower
	for _, server := range s.servers() {
		f := s.peers.of(server.ID)
		if server.ID == s.id || server.Suffrage != raft.Voter || time.Since(f.contact) > firstContact {
			continue
		}
		if !there || f.last > known.last || f.last == known.last && f.contact.After(known.contact) {
			best, known, there = server, f, true
		}
	}
	return best, there
}

// handOn begins to hand on the lead, and does not wait for the outcome.
func (s *Store) handOn() {
	if to, there := s.successor(); there {
		s.transferred.now()
		s.raft.LeadershipTransferToServer(to.ID, to.Address)
	}
}

// moment is when something happened last. The zero value is never.
type moment struct{ at atomic.Pointer[time.Time] }

func (m *moment) now() {
	t := time.Now()
	m.at.Store(&t)
}

// since is how long ago it was; a long time if never.
func (m *moment) since() time.Duration {
	at := m.at.Load()
	if at == nil {
		return time.Hour
	}
	return time.Since(*at)
}

// noteTransfer ends this head if raft refuses to write because the lead is being
// handed on, which it is not. A leader that is deposed while it brings its
// successor up to date may remember that for ever (hashicorp/raft, issue 696),
// and when it leads again all writes would fail.
func (s *Store) noteTransfer(err error) {
	if errors.Is(err, raft.ErrLeadershipTransferInProgress) && s.transferred.since() > transferEnd {
		s.failed.fail(errTransferStuck)
	}
}

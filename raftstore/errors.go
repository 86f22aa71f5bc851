package raftstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
)

// NotLeaderError says that this head does not lead, and who does. Propose
// wraps it in a *model.Error of KindUnavailable.
type NotLeaderError struct {
	LeaderID      string // empty if no leader is known
	LeaderAddress string // raft's, host:port
}

func (e *NotLeaderError) Error() string {
	if e.LeaderID == "" {
		return "this head does not lead, and no leader is known"
	}
	return fmt.Sprintf("this head does not lead; the leader is %s at %s", e.LeaderID, e.LeaderAddress)
}

// ErrUnknownOutcome says that a command was handed to raft and may or may not
// come into force: leadership was lost or the wait ended too early. Only a
// repetition that the command itself makes harmless (an operation id) may
// follow. Propose wraps it in a *model.Error of KindUnavailable.
var ErrUnknownOutcome = errors.New("it is not known whether the command will come into force")

// ErrBusy says that a command was not taken up, because those before it took too
// long: it will not come into force. Propose wraps it in a *model.Error of
// KindUnavailable.
var ErrBusy = errors.New("the heads are too busy to take a command up")

// ErrClosed says that the store is closed or has failed.
var ErrClosed = errors.New("the replicated state is closed on this head")

// ErrRemoved says that this head has been removed from the data center.
var ErrRemoved = errors.New("this head was removed from the data center and has stopped; " +
	"to let this machine be a head again, give it an empty data directory and join as a new one: spearhead head join")

// DamagedError says that what is on disk cannot be trusted. A head that went
// on with it could break promises that it has made to the others.
type DamagedError struct {
	Dir   string
	What  string
	Cause error
}

func (e *DamagedError) Error() string {
	text := fmt.Sprintf("the raft files in %s cannot be trusted: %s", e.Dir, e.What)
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text + "; this head will not start with them. If other heads live, remove this one there (spearhead head remove), move its directory away " +
		"and let the machine join them as a new head (spearhead head join). If this was the only head, move the directory away, " +
		"make a new one (spearhead head init) and restore the latest backup (spearhead head restore). " +
		"If too few other heads are left to agree, one of those with sound files must first go on alone (spearhead head recover)"
}

func (e *DamagedError) Unwrap() error { return e.Cause }

// proposeError gives raft's errors the meaning that callers decide on.
func (s *Store) proposeError(err error) error {
	s.noteTransfer(err)
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		id, address := s.Leader()
		return model.WrapError(model.KindUnavailable, &NotLeaderError{LeaderID: id, LeaderAddress: address},
			"this head cannot change anything now; try again")
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrAbortedByRestore),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", ErrUnknownOutcome, err),
			"the heads did not agree in time; the request may or may not have been carried out")
	case errors.Is(err, raft.ErrRaftShutdown):
		return model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", ErrClosed, err), "this head is stopping; try again")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", ErrBusy, err), "the heads are too busy; try again")
	}
	return model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", ErrUnknownOutcome, err),
		"the heads could not record the request; it may or may not be carried out")
}

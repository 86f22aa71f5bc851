package quorum

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// Patience is how long a write waits for the heads, when they have no leader or
// it does not answer.
const Patience = 10 * time.Second

const (
	// readPatience is the same for reads.
	readPatience = 4 * time.Second
	// appliedPatience is how long this head may need to apply what it knows to
	// be agreed on.
	appliedPatience = 5 * time.Second
)

// Leader is what is asked of another head that leads. *peers.Client fulfils it.
type Leader interface {
	Propose(ctx context.Context, head string, encoded []byte) (peers.Proposed, error)
	ReadIndex(ctx context.Context, head string) (uint64, error)
}

// Store is the replicated state, from the point of view of a head that may or
// may not lead. It is safe for concurrent use.
type Store struct {
	*raftstore.Store
	leader Leader

	local  shared // this head's own read index
	remote shared // that of whichever head leads

	stop    context.CancelFunc
	running *sync.WaitGroup
}

var _ peers.Log = (*Store)(nil)

// New returns a Store over this head's own. Close it before that.
func New(own *raftstore.Store, leader Leader) *Store {
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{Store: own, leader: leader, stop: stop, running: new(sync.WaitGroup)}
	s.local = shared{life: ctx, running: s.running, ask: s.ownIndex}
	s.remote = shared{life: ctx, running: s.running, ask: s.agreedIndex}
	return s
}

// Close ends the questions that are under way. It does not close the
// raftstore.Store.
func (s *Store) Close() {
	s.stop()
	s.running.Wait()
}

// Propose lets the heads agree on c, whichever of them leads, and returns when
// this head has applied it, or with the *model.Error with which it was refused.
// While no head leads, or the outcome is unknown, it asks again under one
// request id, until ctx ends or for ten seconds: then the error is of
// KindUnavailable, and says whether the command may have come into force.
func (s *Store) Propose(ctx context.Context, c command.Command) (raftstore.Result, error) {
	id := model.NewID()[:32]
	encoded, err := command.Encode(command.Entry{Request: id, Command: c})
	if err != nil {
		return raftstore.Result{}, err
	}
	var done peers.Proposed
	err = s.AtLeader(ctx, Patience,
		func(ctx context.Context) (err error) {
			done, err = s.ProposeHere(ctx, encoded)
			return err
		},
		func(ctx context.Context, leader string) (err error) {
			done, err = s.leader.Propose(ctx, leader, encoded)
			return err
		})
	if err != nil {
		return raftstore.Result{}, err
	}
	return raftstore.Result{Index: done.Index}, s.settle(ctx, done)
}

// settle waits until this head shows what became of a command.
func (s *Store) settle(ctx context.Context, done peers.Proposed) error {
	waiting, cancel := context.WithTimeout(ctx, appliedPatience)
	defer cancel()
	err := s.WaitApplied(waiting, done.Index)
	if refused := done.Refused.Err(); refused != nil {
		return refused // it holds wherever this head is
	}
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return model.WrapError(model.KindUnavailable, err, "the data center has recorded it, but this head does not show it yet; look again in a moment")
	}
	return err
}

// ProposeHere implements peers.Log.
func (s *Store) ProposeHere(ctx context.Context, encoded []byte) (peers.Proposed, error) {
	r, err := s.ProposeEncoded(ctx, encoded)
	switch {
	case err == nil:
		return peers.Proposed{Index: r.Index}, nil
	case unsettled(err):
		return peers.Proposed{}, Again(err)
	}
	return peers.Proposed{Index: r.Index, Refused: wire.NewErrorBody(err)}, nil
}

// Again makes an error of a raftstore.Store that is no answer to what was asked
// (another head may lead, or nobody knows) wrap peers.ErrAgain. Other errors
// stay as they are.
func Again(err error) error {
	if !unsettled(err) {
		return err
	}
	return model.WrapError(model.KindUnavailable, fmt.Errorf("%w: %w", peers.ErrAgain, err), "%s", model.UserText(err))
}

func unsettled(err error) bool {
	var elsewhere *raftstore.NotLeaderError
	return errors.As(err, &elsewhere) || errors.Is(err, raftstore.ErrUnknownOutcome) || errors.Is(err, raftstore.ErrBusy) || errors.Is(err, raftstore.ErrClosed)
}

// Fresh returns when this head has applied all that any head had answered to
// before the call. Without a quorum of heads it fails within five seconds with
// KindUnavailable: what this head knows may be old.
func (s *Store) Fresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readPatience, errNotFresh)
	defer cancel()
	index, err := s.remote.get(ctx)
	if err == nil {
		err = s.WaitApplied(ctx, index)
	}
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && cause != errNotFresh {
		return cause // the caller's own end
	}
	return model.WrapError(model.KindUnavailable, err, "%s", errNotFresh.Error())
}

var errNotFresh = errors.New("too few heads can be reached to be sure of anything: what this head knows may be old, so it does not tell; try again, or ask another head")

// LeaderIndex implements peers.Log.
func (s *Store) LeaderIndex(ctx context.Context) (uint64, error) {
	index, err := s.local.get(ctx)
	return index, Again(err)
}

// ownIndex is the question behind local.
func (s *Store) ownIndex(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return s.ReadIndex(ctx)
}

// agreedIndex is the question behind remote.
func (s *Store) agreedIndex(ctx context.Context) (index uint64, err error) {
	err = s.AtLeader(ctx, readPatience,
		func(ctx context.Context) (err error) {
			index, err = s.LeaderIndex(ctx)
			return err
		},
		func(ctx context.Context, leader string) (err error) {
			index, err = s.leader.ReadIndex(ctx, leader)
			return err
		})
	return index, err
}

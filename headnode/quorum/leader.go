package quorum

import (
	"context"
	"errors"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
)

// Pauses between two attempts. A change of the leader ends one early.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// AtLeader has something done by whichever head leads: here, or there by the
// head with that id. An attempt whose error wraps peers.ErrAgain is repeated,
// also because the leader went away meanwhile, until ctx ends or patience does:
// so what is done must be harmless to repeat.
func (s *Store) AtLeader(ctx context.Context, patience time.Duration, here func(context.Context) error, there func(ctx context.Context, leader string) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sent := false
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		changed := s.LeaderChanged()
		err := s.attempt(limited, changed, here, there, &sent)
		if !errors.Is(err, peers.ErrAgain) && !expired(limited, err) {
			return err
		}
		wait := time.NewTimer(pause)
		select {
		case <-changed:
		case <-wait.C:
		case <-limited.Done():
		case <-s.Failed():
			wait.Stop()
			return err
		}
		wait.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if limited.Err() != nil {
			return gaveUp(ctx, sent, err)
		}
	}
}

// expired reports whether err only says that ctx has ended.
func expired(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled))
}

// attempt asks once. It ends early when another head comes to lead, since the
// one that was asked may never answer.
func (s *Store) attempt(ctx context.Context, changed <-chan struct{}, here func(context.Context) error, there func(context.Context, string) error, sent *bool) error {
	if s.IsLeader() {
		*sent = true
		return here(ctx)
	}
	leader, _ := s.Leader()
	if leader == "" {
		return errNoLeader
	}
	*sent = true
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-changed:
			cancel(errLeaderGone)
		case <-ctx.Done():
		}
	}()
	err := there(ctx, leader)
	cancel(nil)
	<-watching
	return err
}

var (
	errNoLeader   = model.WrapError(model.KindUnavailable, peers.ErrAgain, "no head leads at the moment; try again")
	errLeaderGone = model.WrapError(model.KindUnavailable, peers.ErrAgain, "another head leads now; try again")
)

// gaveUp is the third answer: neither done nor refused.
func gaveUp(ctx context.Context, sent bool, cause error) error {
	request := ""
	if id := requestid.Of(ctx); id != "" {
		request = " (request " + id + ")"
	}
	if !sent {
		return model.WrapError(model.KindUnavailable, cause, "no head leads the data center at the moment, so nothing can be changed, and nothing was; try again%s", request)
	}
	return model.WrapError(model.KindUnavailable, cause, "the heads did not agree in time; the request may or may not have been carried out%s", request)
}

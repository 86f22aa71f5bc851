package circle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const (
	// registerTimeout bounds one attempt to be registered: a head that is new
	// has to catch up meanwhile.
	registerTimeout = 30 * time.Second
	registerRetry   = 500 * time.Millisecond
)

var _ peers.Members = (*Circle)(nil)

// Register implements peers.Members.
func (c *Circle) Register(ctx context.Context, other model.Head, forward bool) error {
	if !forward {
		return c.register(ctx, other)
	}
	return c.Heads.AtLeader(ctx, registerTimeout,
		func(ctx context.Context) error { return c.register(ctx, other) },
		func(ctx context.Context, leader string) error { return c.client.Register(ctx, leader, other) })
}

// register lets a head take part and corrects what the others know of it. This
// head must lead.
func (c *Circle) register(ctx context.Context, other model.Head) error {
	if !c.Leads() {
		return errNotLeading
	}
	known, ok := c.Store.View().Head(other.ID)
	if !ok && tooOld(&other, c.Store.View().Heads()) {
		return model.Errorf(model.KindConflict, "head %s runs spearhead %s, which is older than what all other heads run; install their version on it", other.Name, other.Release())
	}
	if err := c.Store.Join(ctx, other.ID, other.RaftAddress); err != nil {
		return quorum.Again(err)
	}
	other.Joined = known.Joined
	if !ok {
		other.Joined = time.Now().UTC()
	}
	if reflect.DeepEqual(known, other) {
		return nil
	}
	_, err := c.Store.Propose(ctx, command.PutHead{Head: other})
	return quorum.Again(err)
}

// tooOld reports whether the log may hold what a new head does not know, since
// all others do.
func tooOld(h *model.Head, others []*model.Head) bool {
	return len(others) > 0 && !slices.ContainsFunc(others, func(o *model.Head) bool { return o.LogLevel() <= h.LogLevel() })
}

// Unregister implements peers.Members.
func (c *Circle) Unregister(ctx context.Context, id string) error {
	return quorum.Again(c.Store.RemoveHead(ctx, id))
}

// Remove takes a head out for good, whichever head leads.
func (c *Circle) Remove(ctx context.Context, id string) error {
	return c.Heads.AtLeader(ctx, registerTimeout,
		func(ctx context.Context) error { return c.Unregister(ctx, id) },
		func(ctx context.Context, leader string) error { return c.client.Unregister(ctx, leader, id) })
}

// Announce tells the others of this head, each time that it starts: a head that
// has joined comes to take part by it, and one that has moved is found again.
// seeds are addresses at which heads may answer, beside those that the state
// has. It returns an error only if this head is not one any more; that wraps
// raftstore.ErrRemoved.
func (c *Circle) Announce(ctx context.Context, self model.Head, seeds []string) error {
	retry := time.NewTicker(registerRetry)
	defer retry.Stop()
	for {
		err := c.announce(ctx, self, seeds)
		switch {
		case err == nil:
			c.Logger.Info("the heads know this head")
			return nil
		case model.IsKind(err, model.KindForbidden):
			return fmt.Errorf("%w: %w", raftstore.ErrRemoved, err)
		case ctx.Err() == nil:
			c.Logger.Info("the heads do not know this head yet", slog.Any("err", err))
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Circle) announce(ctx context.Context, self model.Head, seeds []string) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	if leader, _ := c.Store.Leader(); leader != "" {
		return c.Register(ctx, self, true)
	}
	// Nobody tells this head who leads: it is new, or alone, or was removed.
	errs := []error{errors.New("no head leads at the moment")}
	for _, address := range c.addresses(self, seeds) {
		err := c.client.RegisterAt(ctx, address, self)
		if err == nil || model.IsKind(err, model.KindForbidden) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// addresses are where other heads may answer.
func (c *Circle) addresses(self model.Head, seeds []string) []string {
	known := slices.Clone(seeds)
	for _, other := range c.Store.View().Heads() {
		known = append(known, other.PeerAddress)
	}
	slices.Sort(known)
	return slices.DeleteFunc(slices.Compact(known), func(a string) bool { return a == self.PeerAddress })
}

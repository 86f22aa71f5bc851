package transfers

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// fetchedAtOnce are of those that go together, where no rate is asked for.
const fetchedAtOnce = 4

// company are all that go the way of c, as they are now.
func company(v *state.View, c *model.Container) []model.Container {
	var all []model.Container
	for _, id := range c.Transfer.Company(c.ID) {
		if member, ok := v.Container(id); ok {
			all = append(all, member)
		}
	}
	return all
}

// tiers are containers in the order in which they can start: each is in a later
// tier than those in whose namespaces it lives. They stop the other way round.
func tiers(all []model.Container) (sorted [][]model.Container) {
	for len(all) > 0 {
		var tier, later []model.Container
		for _, c := range all {
			if joinsAny(&c, all) {
				later = append(later, c)
				continue
			}
			tier = append(tier, c)
		}
		if len(tier) == 0 { // nobody can make them join each other in a ring
			return append(sorted, later)
		}
		sorted, all = append(sorted, tier), later
	}
	return sorted
}

func joinsAny(c *model.Container, others []model.Container) bool {
	joined := c.Spec.Joins()
	return slices.ContainsFunc(others, func(o model.Container) bool { return slices.Contains(joined, o.ID) })
}

// each does something with several containers, some at a time; the first error
// ends it. atOnce below 1 is all of them.
func each(ctx context.Context, all []model.Container, atOnce int, do func(context.Context, model.Container) error) error {
	group, ctx := errgroup.WithContext(ctx)
	if atOnce > 0 {
		group.SetLimit(atOnce)
	}
	for _, c := range all {
		group.Go(func() error { return do(ctx, c) })
	}
	return group.Wait()
}

// awaitJoined returns when those in whose namespaces c lives have arrived.
func (s *Service) awaitJoined(ctx context.Context, c *model.Container) error {
	joined := c.Spec.Joins()
	return s.Store.Wait(ctx, func(v *state.View) (bool, error) {
		return !slices.ContainsFunc(joined, func(id string) bool {
			other, ok := v.Container(id)
			return ok && other.NodeID == c.NodeID && other.Move != nil && other.Move.Fetched
		}), nil
	})
}

// fetchAll has the new node make its copies what the containers are, and tells
// how much came with it and whether any of them runs. With a rate they come one
// after the other, so that it holds for all together.
func (s *Service) fetchAll(ctx context.Context, c model.Container, rate int64) (bytes int64, running bool, err error) {
	all, atOnce := company(s.Store.View(), &c), fetchedAtOnce
	if rate > 0 {
		atOnce = 1
	}
	var come atomic.Int64
	err = each(ctx, all, atOnce, func(ctx context.Context, c model.Container) error {
		fetched, err := s.fetch(ctx, c, rate)
		come.Add(fetched.Bytes)
		return err
	})
	running = slices.ContainsFunc(all, func(c model.Container) bool { return c.State.Status.Running() })
	return come.Load(), running, err
}

// depart stops the containers, those that live in namespaces of others before
// these, and tells where the old node's journal says so.
func (s *Service) depart(ctx context.Context, c model.Container) (acks []wire.Ack, err error) {
	var mu sync.Mutex
	for _, tier := range slices.Backward(tiers(company(s.Store.View(), &c))) {
		err := each(ctx, tier, 0, func(ctx context.Context, c model.Container) error {
			ack, err := s.Agent(c.NodeID).DepartContainer(ctx, c.ID, wire.StopRequest{})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			acks = append(acks, ack)
			return nil
		})
		if err == nil {
			err = failpoint.Hit("head.transfer.departed")
		}
		if err != nil {
			return nil, err
		}
	}
	return acks, nil
}

// stay has the old node keep the containers after all.
func (s *Service) stay(ctx context.Context, c model.Container) error {
	if err := failpoint.Hit("head.transfer.undoing"); err != nil {
		return err
	}
	for _, tier := range tiers(company(s.Store.View(), &c)) {
		if err := each(ctx, tier, 0, s.stayOne); err != nil {
			return err
		}
		if err := failpoint.Hit("head.transfer.stayed"); err != nil {
			return err
		}
	}
	_, err := s.Decisions.Propose(ctx, command.EndTransfer{ID: c.ID, Operation: c.Transfer.Operation, Time: time.Now().UTC()})
	return err
}

// stayOne has the old node start a container again that ran.
func (s *Service) stayOne(ctx context.Context, c model.Container) error {
	ack, err := s.Agent(c.NodeID).StayContainer(ctx, c.ID, wire.StayRequest{Start: c.Transfer != nil && c.Transfer.Start})
	switch {
	case model.IsKind(err, model.KindUnavailable):
		return err
	case err != nil && !model.IsKind(err, model.KindNotFound):
		s.Logger.Warn("a container that was not moved after all does not start again", slog.String("container", c.ID), slog.Any("err", err))
	case err == nil:
		return s.Containers.See(ctx, c.NodeID, ack)
	}
	return nil
}

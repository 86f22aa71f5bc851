package transfers

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

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

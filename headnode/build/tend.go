package build

import (
	"context"
	"log/slog"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// tendInterval is how often nodes are asked about their builders.
const tendInterval = 15 * time.Second

// Tend keeps the state and the nodes' builders together, until ctx ends: a node
// that was asked for a builder's memory gets it back when the builder has ended,
// and caches of accounts that are gone, or that build elsewhere now, are removed.
// Only the leader may call it, once at a time.
func (s *Service) Tend(ctx context.Context) {
	tick := time.NewTicker(tendInterval)
	defer tick.Stop()
	for {
		for _, n := range s.Store.View().Nodes() {
			if !s.Agents.Connected(n.ID) {
				continue
			}
			if err := s.tend(ctx, n.ID); err != nil && ctx.Err() == nil && !model.IsKind(err, model.KindUnavailable) {
				s.Logger.Warn("cannot tidy a node's builders", slog.String("op", "build"), slog.String("node", n.ID), slog.Any("err", err))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tend compares one node's builders with what the state has.
func (s *Service) tend(ctx context.Context, nodeID string) error {
	there, err := s.Agents.Agent(nodeID).ListBuilders(ctx)
	if err != nil {
		return err
	}
	v := s.Store.View() // after the question: a builder is in the state before it is on its node
	pkg, err := defaultPackage(v)
	if err != nil {
		return nil // and nobody can build
	}
	runs := map[string]bool{}
	for _, b := range there {
		runs[b.AccountID] = b.Runs
		if home, ok := v.Builder(b.AccountID); !ok || home.NodeID != nodeID {
			if err := s.Agents.Agent(nodeID).EndBuilder(ctx, wire.EndBuilderRequest{AccountID: b.AccountID, Forget: true}); err != nil {
				return err
			}
		}
	}
	for _, b := range v.Builders(nodeID) {
		memory := int64(0)
		if runs[b.AccountID] {
			memory = pkg.Memory
		}
		kept := *b
		if err := s.promise(ctx, &kept, memory); err != nil && !model.IsKind(err, model.KindExhausted) && !model.IsKind(err, model.KindConflict) {
			return err
		}
	}
	return nil
}

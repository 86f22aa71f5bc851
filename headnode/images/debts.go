package images

import (
	"context"
	"log/slog"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
)

// debts are what could not be done while images were on their way: the zero
// value owes nothing.
type debts struct {
	mu    sync.Mutex
	sweep bool
	nodes map[string]bool // whose images are to be compared with the state
}

func (d *debts) oweSweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep = true
}

func (d *debts) oweSettle(nodeID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.nodes == nil {
		d.nodes = map[string]bool{}
	}
	d.nodes[nodeID] = true
}

func (d *debts) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sweep || len(d.nodes) > 0
}

func (d *debts) take() (nodes map[string]bool, sweep bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	nodes, sweep = d.nodes, d.sweep
	d.nodes, d.sweep = nil, false
	return nodes, sweep
}

// payDebts does what could not be done before. What still cannot is owed again.
func (s *Service) payDebts(ctx context.Context) {
	nodes, sweep := s.debts.take()
	for nodeID := range nodes {
		if err := s.Settle(ctx, nodeID); err != nil && ctx.Err() == nil && !model.IsKind(err, model.KindUnavailable) {
			s.log.Warn("cannot reconcile images of node", slog.String("node", nodeID), slog.Any("err", err))
		}
	}
	if sweep {
		s.Sweep(ctx)
	}
}

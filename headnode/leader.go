package headnode

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// lead starts what only the leader does when this head begins to lead, and
// stops it, waiting until it has stopped, when it ceases to. It returns when
// ctx has ended.
func (h *head) lead(ctx context.Context) {
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case leads := <-h.store.LeadershipChanges():
			stop()
			stop = func() {}
			if leads {
				stop = h.beginTerm(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// beginTerm starts a term as leader; the returned function ends it.
func (h *head) beginTerm(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { h.term(ctx) })
	h.log.Info("this head leads")
	return func() {
		cancel()
		running.Wait()
		h.log.Info("this head does not lead any more")
	}
}

// term is what a leader does: it first sees all that was agreed on before it.
func (h *head) term(ctx context.Context) {
	if !h.caughtUp(ctx) {
		return
	}
	defer h.circle.Lead()()
	if err := h.store.FinishRemovals(ctx); err != nil {
		h.log.Warn("cannot take out heads that were removed", slog.Any("err", err))
	}
	if err := h.seedPackages(ctx); err != nil {
		h.log.Warn("cannot create the first packages", slog.Any("err", err))
	}
	var loops sync.WaitGroup
	loops.Go(func() { h.metrics.Loop(ctx, "journals", h.nodes.Follow) })
	loops.Go(func() { h.metrics.Loop(ctx, "reconcile", h.reconciler.Run) })
	loops.Go(func() { h.metrics.Loop(ctx, "images", h.images.Spread) })
	loops.Go(func() { h.metrics.Loop(ctx, "builders", h.builds.Tend) })
	loops.Go(func() { h.metrics.Loop(ctx, "networks", h.networks.Tell) })
	loops.Go(func() { h.metrics.Loop(ctx, "volumes", h.volumes.Run) })
	loops.Go(func() { h.metrics.Loop(ctx, "attend", h.attendant.Run) })
	loops.Go(func() { h.metrics.Loop(ctx, "transfers", h.transfers.Run) })
	loops.Wait()
}

// handOver lets another head lead before this one stops, so that writes go on.
func (h *head) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverLimit)
	defer cancel()
	if err := h.store.TransferLeadership(ctx); err != nil {
		h.log.Warn("no other head has taken the lead", slog.Any("err", err))
	}
}

// handOverLimit bounds it: heads that cannot take the lead in this time will
// elect one of them when this head has gone.
const handOverLimit = 8 * time.Second

// barrierRetry is between two attempts to catch up; raft answers each with an
// error while it is not ready for it.
const barrierRetry = 50 * time.Millisecond

func (h *head) caughtUp(ctx context.Context) bool {
	retry := time.NewTicker(barrierRetry)
	defer retry.Stop()
	for {
		err := h.store.Barrier(ctx)
		if err == nil {
			return true
		}
		h.log.Warn("cannot catch up with the log yet", slog.Any("err", err))
		select {
		case <-retry.C:
		case <-ctx.Done():
			return false
		}
	}
}

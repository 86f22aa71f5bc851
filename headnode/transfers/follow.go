package transfers

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/internal/idset"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// tend has everything worked on that list has of the state, one goroutine each,
// until ctx ends.
func (s *Service) tend(ctx context.Context, list func(*state.View) []string, work func(ctx context.Context, id string)) {
	var busy idset.Set
	var working sync.WaitGroup
	defer working.Wait()
	for ctx.Err() == nil {
		for _, id := range list(s.Store.View()) {
			if !busy.Add(id) {
				continue
			}
			working.Go(func() {
				// There may be more to do by the time that others may take it.
				for again := true; again; again = ctx.Err() == nil && slices.Contains(list(s.Store.View()), id) && busy.Add(id) {
					work(ctx, id)
					busy.Remove(id)
				}
			})
		}
		// The only error is that of the context.
		_ = s.Store.Wait(ctx, func(v *state.View) (bool, error) {
			return slices.ContainsFunc(list(v), func(id string) bool { return !busy.Has(id) }), nil
		})
	}
}

// deed is one step of a way.
type deed struct {
	do func(context.Context) error
	// undo has the way undone because of a failure; nil is for a step that is
	// tried until it succeeds.
	undo func(ctx context.Context, cause error) error
}

// follow does what next tells, again and again, until that is nothing or ctx
// ends. A deed that fails is undone: at once, or for nodes that cannot be reached
// after the patience.
func (s *Service) follow(ctx context.Context, log *slog.Logger, next func() (deed, bool)) {
	var failing time.Time // since when deeds have failed in a row
	complaint := ""
	for ctx.Err() == nil {
		d, ok := next()
		if !ok {
			return
		}
		err := d.do(ctx)
		switch {
		case err == nil:
			failing, complaint = time.Time{}, ""
			continue
		case ctx.Err() != nil:
			return
		case complaint != err.Error():
			complaint = err.Error()
			log.Warn("a step of a move failed", slog.Any("err", err))
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		hopeless := !model.IsKind(err, model.KindUnavailable) || time.Since(failing) >= s.Patience
		if d.undo != nil && hopeless && d.undo(ctx, err) == nil {
			failing = time.Time{}
			continue
		}
		s.pause(ctx)
	}
}

// watch tells how far a move has come until look says that it is over. When ctx
// ends the move goes on.
func watch(ctx context.Context, total int64, look func(context.Context) (now Progress, over bool, err error), tell func(Progress)) error {
	var last Progress
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		now, over, err := look(ctx)
		if over && err != nil {
			return err
		}
		if now.Total = total; now.Bytes == 0 {
			now.Bytes = last.Bytes
		}
		if now != last {
			tell(now)
		}
		if last = now; over {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

package containers

import (
	"context"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// pruneWidth is how many containers one prune removes at the same time.
const pruneWidth = 8

// Prune implements dockerapi.Control. A container that starts meanwhile, or
// whose node cannot be reached, stays.
func (s *Service) Prune(ctx context.Context, a model.Account, want func(*model.Container) bool) (removed []string, reclaimed int64, err error) {
	var ids []string
	for _, c := range s.store.View().Containers(a.ID) {
		if c.Phase != model.PhaseReserved && prunable(c.State.Status) && want(c) {
			ids = append(ids, c.ID)
		}
	}
	sizes := map[string]model.ContainerSize{}
	if len(ids) > 0 {
		if sizes, err = s.Sizes(ctx, a, ids); err != nil {
			return nil, 0, err
		}
	}
	var mu sync.Mutex
	var removing errgroup.Group
	removing.SetLimit(pruneWidth)
	for _, id := range ids {
		removing.Go(func() error {
			err := s.Remove(ctx, a, id, wire.RemoveRequest{})
			if mayStay(err) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			removed = append(removed, id)
			reclaimed += sizes[id].RW
			return nil
		})
	}
	if err := removing.Wait(); err != nil {
		return removed, reclaimed, err
	}
	_, err = s.store.Propose(ctx, command.RecordEvent{Event: model.Event{
		Time: time.Now().UTC(), AccountID: a.ID, Type: "container", Action: "prune",
		Attributes: map[string]string{"reclaimed": strconv.FormatInt(reclaimed, 10)},
	}})
	return removed, reclaimed, err
}

// prunable reports whether a container has ended, or never began, and nothing
// else is being done to it.
func prunable(s model.Status) bool {
	return s == model.StatusCreated || s == model.StatusExited || s == model.StatusDead
}

// mayStay reports whether a prune passes over a container that could not be
// removed.
func mayStay(err error) bool {
	return model.IsKind(err, model.KindConflict) || model.IsKind(err, model.KindNotFound) || model.IsKind(err, model.KindUnavailable)
}

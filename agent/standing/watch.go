package standing

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Watch stops what may run elsewhere whenever the lease is over, and starts it
// again when there is one, until ctx ends. Containers that a user had stopped
// stay so.
func (k *Keeper) Watch(ctx context.Context, on Containers) {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		if k.Alive != nil {
			k.Alive()
		}
		if k.over() {
			k.stopAll(ctx, on)
		} else {
			k.startAgain(ctx, on)
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
			return
		}
	}
}

func (k *Keeper) over() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.StopAfter > 0 && k.lease.left() <= 0
}

// stopAll stops all at once: the leader counts on it.
func (k *Keeper) stopAll(ctx context.Context, on Containers) {
	running := on.Running()
	if len(running) == 0 {
		return
	}
	k.Logger.Warn("the node is cut off from the data center; stopping what may be started elsewhere", "op", "fence", "count", len(running))
	if err := k.note(running); err != nil {
		// They are stopped all the same, and then stay so.
		k.Logger.Error("cannot note what is stopped", "op", "fence", "err", err)
	}
	var stopping sync.WaitGroup
	for _, id := range running {
		stopping.Go(func() {
			if err := on.Stop(ctx, id); err != nil && ctx.Err() == nil {
				k.Logger.Error("cannot stop a container that may be started elsewhere; trying again", "op", "fence", "container", id, "err", err)
			}
		})
	}
	stopping.Wait()
}

// note keeps which containers are stopped, before they are.
func (k *Keeper) note(ids []string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Concat(k.kept.Stopped, ids)
	slices.Sort(all)
	k.kept.Stopped = slices.Compact(all)
	return k.save()
}

// startAgain starts what was stopped. The leader gives a lease only when the
// node holds nothing that is elsewhere.
func (k *Keeper) startAgain(ctx context.Context, on Containers) {
	k.mu.Lock()
	stopped := slices.Clone(k.kept.Stopped)
	k.mu.Unlock()
	if len(stopped) == 0 {
		return
	}
	var starting sync.WaitGroup
	for _, id := range stopped {
		starting.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, startLimit)
			defer cancel()
			if err := on.Start(ctx, id); err != nil {
				k.Logger.Error("cannot start a container again that was stopped while the node was cut off", "op", "lease", "container", id, "err", err)
			}
		})
	}
	starting.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept.Stopped = slices.DeleteFunc(k.kept.Stopped, func(id string) bool { return slices.Contains(stopped, id) })
	if err := k.save(); err != nil {
		k.Logger.Error("cannot note what was started again", "op", "lease", "err", err)
	}
}

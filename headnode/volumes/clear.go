package volumes

import (
	"context"
	"log/slog"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

const (
	// retryAfter is how long a volume is left alone whose files could not be
	// removed: its node is away, or something still lets go of it.
	retryAfter  = 10 * time.Second
	callTimeout = time.Minute
)

// Run removes, until ctx ends, the files of volumes that were removed. Only the
// leader may call it, once at a time.
func (s *Service) Run(ctx context.Context) {
	failed := map[string]time.Time{}
	for ctx.Err() == nil {
		s.clear(ctx, failed)
		waiting, cancel := context.WithTimeout(ctx, retryAfter)
		// The only error is that of the context: then it is time to retry.
		_ = s.store.Wait(waiting, func(v *state.View) (bool, error) {
			for _, vol := range v.RemovedVolumes() {
				if _, tried := failed[vol.ID]; !tried {
					return true, nil
				}
			}
			return false, nil
		})
		cancel()
	}
}

// clear tries each removed volume once, unless it failed a moment ago.
func (s *Service) clear(ctx context.Context, failed map[string]time.Time) {
	removed := s.store.View().RemovedVolumes()
	there := make(map[string]bool, len(removed))
	for _, vol := range removed {
		there[vol.ID] = true
		if at, tried := failed[vol.ID]; tried && time.Since(at) < retryAfter {
			continue
		}
		failed[vol.ID] = time.Now()
		err := s.forget(ctx, vol)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("cannot remove a volume's files yet", slog.String("volume", vol.ID), slog.String("node", vol.NodeID), slog.Any("err", err))
			continue
		}
		delete(failed, vol.ID)
	}
	for id := range failed {
		if !there[id] {
			delete(failed, id)
		}
	}
}

// forget has a removed volume's node remove it, and then forgets it.
func (s *Service) forget(ctx context.Context, vol *model.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.agents.Agent(vol.NodeID).RemoveVolume(ctx, vol.ID); err != nil {
		return err
	}
	_, err := s.store.Propose(ctx, command.ForgetVolume{ID: vol.ID})
	return err
}

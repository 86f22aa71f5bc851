package volumes

import (
	"context"
	"log/slog"
	"slices"
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

// Run removes, until ctx ends, the files of volumes that were removed, and
// copies that moves have left. Only the leader may call it, once at a time.
func (s *Service) Run(ctx context.Context) {
	failed := map[string]time.Time{}
	for ctx.Err() == nil {
		s.clear(ctx, failed)
		waiting, cancel := context.WithTimeout(ctx, retryAfter)
		// The only error is that of the context: then it is time to retry.
		_ = s.store.Wait(waiting, func(v *state.View) (bool, error) {
			return slices.ContainsFunc(v.UntidyVolumes(), func(vol *model.Volume) bool {
				_, tried := failed[vol.ID]
				return !tried && !transferred(v, vol)
			}), nil
		})
		cancel()
	}
}

// clear tries each untidy volume once, unless it failed a moment ago.
func (s *Service) clear(ctx context.Context, failed map[string]time.Time) {
	untidy := s.store.View().UntidyVolumes()
	there := make(map[string]bool, len(untidy))
	for _, vol := range untidy {
		there[vol.ID] = true
		if at, tried := failed[vol.ID]; tried && time.Since(at) < retryAfter || transferred(s.store.View(), vol) {
			continue
		}
		if err := s.tidy(ctx, vol); err != nil && ctx.Err() == nil {
			failed[vol.ID] = time.Now()
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

// transferred reports whether a volume is on its way to another node, alone or
// with its container, so that what other nodes have of it is another's to give
// up, or whether a copy of that container is still there, which has to go first.
// As long as no node is chosen for the container, what a former way has left is in
// the way of that.
func transferred(v *state.View, vol *model.Volume) bool {
	if vol.Move != nil {
		return true
	}
	return slices.ContainsFunc(v.ContainersOfVolume(vol.ID), func(c *model.Container) bool {
		return c.Transfer != nil && c.Transfer.To != "" || slices.ContainsFunc(c.Former, func(f model.FormerCopy) bool {
			return slices.ContainsFunc(vol.Copies, func(copied model.VolumeCopy) bool { return copied.NodeID == f.NodeID })
		})
	})
}

// tidy has nodes remove what they have of a volume and need not have, and then
// forgets that they had it. A copy that a head of an older release has begun is
// given up first: then it can never become the volume.
func (s *Service) tidy(ctx context.Context, vol *model.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for _, c := range vol.Copies {
		if err := s.dropCopy(ctx, vol.ID, c.NodeID); err != nil {
			return err
		}
	}
	if !vol.Removing {
		return nil
	}
	if vol.NodeID != "" {
		if err := s.agents.Agent(vol.NodeID).RemoveVolume(ctx, vol.ID); err != nil {
			return err
		}
	}
	_, err := s.store.Propose(ctx, command.ForgetVolume{ID: vol.ID})
	return err
}

func (s *Service) dropCopy(ctx context.Context, id, nodeID string) error {
	if _, err := s.store.Propose(ctx, command.CondemnCopy{ID: id, NodeID: nodeID}); err != nil {
		return err
	}
	// The state of after that: it may have become the volume just before.
	if vol, ok := s.store.View().Volume(id); !ok || vol.NodeID == nodeID {
		return nil
	}
	if err := s.agents.Agent(nodeID).RemoveVolume(ctx, id); err != nil {
		return err
	}
	_, err := s.store.Propose(ctx, command.DropCopy{ID: id, NodeID: nodeID})
	return err
}

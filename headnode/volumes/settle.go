package volumes

import (
	"context"
	"log/slog"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Settle compares a node's volumes with those that the state has there, and
// tells operators of what does not agree. It removes nothing: a volume that
// only the node knows is what an older backup of the state has forgotten, and
// somebody's files. One that the node lacks is made anew, empty, by the next
// container that mounts it.
func (s *Service) Settle(ctx context.Context, nodeID string, agent wire.Agent) {
	log := s.log.With(slog.String("node", nodeID))
	held, err := agent.Volumes(ctx)
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("cannot compare the volumes of a node", slog.Any("err", err))
		}
		return
	}
	v := s.store.View()
	for _, id := range held {
		vol, known := v.Volume(id)
		copied := slices.ContainsFunc(vol.Copies, func(c model.VolumeCopy) bool { return c.NodeID == nodeID })
		if !known || vol.NodeID != nodeID && !copied {
			log.Error("the node has a volume that the data center does not know there", slog.String("volume", id))
		}
	}
	for _, vol := range v.VolumesOnNode(nodeID) {
		if !vol.Removing && !slices.Contains(held, vol.ID) && len(v.ContainersOfVolume(vol.ID)) > 0 {
			log.Error("the node does not have a volume that containers mount; its files are lost", slog.String("volume", vol.ID), slog.String("account", vol.AccountID))
		}
	}
}

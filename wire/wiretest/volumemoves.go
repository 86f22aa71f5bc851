package wiretest

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// OfferVolume implements wire.Agent: the volume is in use.
func (a *Agent) OfferVolume(_ context.Context, id string, _ wire.OfferRequest) error {
	if err := findVolume(id); err != nil {
		return err
	}
	return model.Errorf(model.KindConflict, "a container mounts the volume")
}

// FetchVolume implements wire.Agent: there is nobody to fetch from.
func (a *Agent) FetchVolume(_ context.Context, r wire.FetchVolumeRequest) (wire.Fetched, error) {
	return wire.Fetched{}, model.Errorf(model.KindConflict, "volume %s does not come to this node", r.Volume.ID)
}

// FetchVolumeProgress implements wire.Agent.
func (a *Agent) FetchVolumeProgress(_ context.Context, id string) (wire.Fetched, error) {
	return wire.Fetched{}, model.Errorf(model.KindNotFound, "volume %s does not come to this node", id)
}

// SettleVolume implements wire.Agent.
func (a *Agent) SettleVolume(context.Context, string) error { return nil }

// volumesInUseStay checks what is said of moves of VolumeID, and of a volume
// that is not there.
func (s *suite) volumesInUseStay() {
	other := wire.OfferRequest{To: "other"}
	_, progress := s.agent.FetchVolumeProgress(s.ctx, "none")
	_, fetched := s.agent.FetchVolume(s.ctx, wire.FetchVolumeRequest{Volume: wire.VolumeRef{ID: VolumeID}, From: wire.Holder{NodeID: "other"}})
	for what, got := range map[string]struct {
		err  error
		want model.Kind
	}{
		"offer of one in use":   {s.agent.OfferVolume(s.ctx, VolumeID, other), model.KindConflict},
		"offer of none":         {s.agent.OfferVolume(s.ctx, "none", other), model.KindNotFound},
		"progress of none":      {progress, model.KindNotFound},
		"fetch of what is here": {fetched, model.KindConflict},
	} {
		if !model.IsKind(got.err, got.want) {
			s.Errorf("%s: %v", what, got.err)
		}
	}
	s.ok(s.agent.SettleVolume(s.ctx, "none"))
}

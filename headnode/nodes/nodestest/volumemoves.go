package nodestest

import (
	"context"
	"maps"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// VolumeContent is what a volume holds, "" where the node does not have it.
func (a *Agent) VolumeContent(id string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v := a.volumes[id]; v != nil {
		return v.Content
	}
	return ""
}

// Offered is the node that may read a volume, "" for none.
func (a *Agent) Offered(id string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v := a.volumes[id]; v != nil {
		return v.offered
	}
	return ""
}

// OfferVolume implements wire.Agent.
func (a *Agent) OfferVolume(_ context.Context, id string, r wire.OfferRequest) error {
	if err := a.moves("offer volume"); err != nil {
		return err
	}
	defer a.mu.Unlock()
	v := a.volumes[id]
	if v == nil {
		return model.Errorf(model.KindNotFound, "the node does not have the volume")
	}
	v.offered = r.To
	return nil
}

// FetchVolume implements wire.Agent.
func (a *Agent) FetchVolume(_ context.Context, r wire.FetchVolumeRequest) (wire.Fetched, error) {
	if err := a.moves("fetch volume"); err != nil {
		return wire.Fetched{}, err
	}
	other := a.others[r.From.NodeID]
	a.mu.Unlock()
	if other == nil {
		return wire.Fetched{}, errCut
	}
	there, err := other.openVolume(r.Volume.ID)
	if err != nil {
		return wire.Fetched{}, err
	}
	copied, allowed := *there, other.others[there.offered] == a
	copied.contents, copied.snapshots, copied.offered = maps.Clone(there.contents), slices.Clone(there.snapshots), ""
	other.mu.Unlock()
	if !allowed {
		return wire.Fetched{}, model.Errorf(model.KindForbidden, "the volume was not offered")
	}
	copied.Size = r.Volume.Size
	a.mu.Lock()
	defer a.mu.Unlock()
	a.volumes[r.Volume.ID] = &copied
	return wire.Fetched{Bytes: int64(len(copied.Content)), Files: 1}, nil
}

// FetchVolumeProgress implements wire.Agent.
func (a *Agent) FetchVolumeProgress(_ context.Context, id string) (wire.Fetched, error) {
	v, err := a.openVolume(id)
	if err != nil {
		return wire.Fetched{}, err
	}
	defer a.mu.Unlock()
	return wire.Fetched{Bytes: int64(len(v.Content))}, nil
}

// SettleVolume implements wire.Agent.
func (a *Agent) SettleVolume(_ context.Context, id string) error {
	if err := a.moves("settle volume"); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if v := a.volumes[id]; v != nil {
		v.offered = ""
	}
	return nil
}

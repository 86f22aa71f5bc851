package agent

import (
	"context"
	"sync"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// volumeOffers is which node may read which of the node's volumes, because it is
// to be that node's. It outlives the agent.
type volumeOffers struct {
	records *state.DB

	mu sync.Mutex
	to map[string]string // node by volume
}

func openOffers(records *state.DB) (*volumeOffers, error) {
	to, err := records.Offers()
	return &volumeOffers{records: records, to: to}, err
}

// set records an offer; "" takes it back.
func (o *volumeOffers) set(volume, node string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to[volume] == node {
		return nil
	}
	if err := o.records.SetOffer(volume, node); err != nil {
		return err
	}
	if node == "" {
		delete(o.to, volume)
		return nil
	}
	o.to[volume] = node
	return nil
}

// node is to which a volume is offered, "" for none.
func (o *volumeOffers) node(volume string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to[volume]
}

// checkStays refuses to change a volume that another node is copying: what came
// after its copy would be lost.
func (a *Agent) checkStays(volume string) error {
	if a.offers.node(volume) != "" {
		return model.Errorf(model.KindConflict, "the volume is on its way to another node; try again when it is there")
	}
	return nil
}

// OfferVolume implements wire.Agent.
func (a *Agent) OfferVolume(ctx context.Context, id string, r wire.OfferRequest) error {
	if all, _ := a.users(id, ""); all > 0 {
		return model.Errorf(model.KindConflict, "the volume is in use by %d containers of its node", all)
	}
	if r.To == "" {
		return model.Errorf(model.KindInvalid, "an offer has no node")
	}
	if _, err := a.drivers.Volumes.Data(ctx, id); err != nil {
		return err
	}
	if err := a.offers.set(id, r.To); err != nil {
		return err
	}
	return failpoint.Hit("agent/volume-offered")
}

// FetchVolume implements wire.Agent.
func (a *Agent) FetchVolume(ctx context.Context, r wire.FetchVolumeRequest) (wire.Fetched, error) {
	if all, _ := a.users(r.Volume.ID, ""); all > 0 || a.peer == nil || r.From.NodeID == a.nodeID || a.offers.node(r.Volume.ID) != "" {
		return wire.Fetched{}, model.Errorf(model.KindConflict, "volume %s does not come to this node", r.Volume.ID)
	}
	comes := a.moves.arrivalOf(r.Volume.ID, 0)
	ctx, end, err := comes.begin(ctx)
	if err != nil {
		return wire.Fetched{}, err
	}
	defer end()
	if err := failpoint.Hit("agent/volume-fetch-begun"); err != nil {
		return wire.Fetched{}, err
	}
	client := a.peer(r.From)
	defer client.Close()
	f := &fetch{agent: a, id: r.Volume.ID, comes: comes, from: client, pace: newPace(r.Rate)}
	before := comes.bytes.Load()
	if err := f.volume(ctx, r.Volume); err != nil {
		return wire.Fetched{}, fetchError(err)
	}
	return wire.Fetched{Bytes: comes.bytes.Load() - before, Files: int(f.files.Load())}, failpoint.Hit("agent/volume-fetch-done")
}

// FetchVolumeProgress implements wire.Agent.
func (a *Agent) FetchVolumeProgress(_ context.Context, id string) (wire.Fetched, error) {
	return a.moves.progress(id, "volume")
}

// SettleVolume implements wire.Agent.
func (a *Agent) SettleVolume(ctx context.Context, id string) error {
	if err := a.letGo(id); err != nil {
		return err
	}
	return a.drivers.Volumes.Unmark(ctx, id)
}

// letGo ends what is under way with a volume that comes or goes.
func (a *Agent) letGo(volume string) error {
	a.moves.forget(volume)
	if err := a.offers.set(volume, ""); err != nil {
		return err
	}
	return failpoint.Hit("agent/volume-let-go")
}

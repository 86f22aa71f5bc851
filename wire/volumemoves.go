package wire

import (
	"context"
	"net/http"
)

// VolumeMoves is how a volume that no container mounts goes from one node to
// another. The leading head asks the one to offer it and the other to fetch it,
// which reads from the one by Origin; and when it is recorded whose it is, the
// one that keeps it to settle. All may be repeated. What is not to be the volume
// goes by RemoveVolume, at any time.
type VolumeMoves interface {
	// OfferVolume lets another node read the volume until it settles or is
	// removed. Meanwhile its snapshots and its size stay as they are:
	// KindConflict for who would change them, and while a container mounts it.
	OfferVolume(ctx context.Context, id string, r OfferRequest) error
	// FetchVolume makes the node's copy of a volume what that is, and returns
	// when it is on disk. A fetch that was broken off is gone on with by the
	// next.
	FetchVolume(ctx context.Context, r FetchVolumeRequest) (Fetched, error)
	// FetchVolumeProgress is how much was fetched of a volume since the agent's
	// first fetch of it. KindNotFound if it does not come.
	FetchVolumeProgress(ctx context.Context, id string) (Fetched, error)
	// SettleVolume ends a move at the node that has the volume: it is offered
	// to nobody, and the snapshots that the move took go. A volume that is not
	// there is no error.
	SettleVolume(ctx context.Context, id string) error
}

// FetchVolumeRequest says what to fetch, from which node, and how fast.
type FetchVolumeRequest struct {
	Volume VolumeRef `json:"volume"`
	From   Holder    `json:"from"`
	Rate   int64     `json:"rate,omitempty"` // bytes a second; 0 is without limit
}

// OfferVolume implements VolumeMoves.
func (c *Client) OfferVolume(ctx context.Context, id string, r OfferRequest) error {
	return c.call(ctx, http.MethodPost, volumePath(id, "/offer"), r, nil)
}

// FetchVolume implements VolumeMoves.
func (c *Client) FetchVolume(ctx context.Context, r FetchVolumeRequest) (f Fetched, err error) {
	err = c.call(ctx, http.MethodPost, volumePath(r.Volume.ID, "/fetch"), r, &f)
	return f, err
}

// FetchVolumeProgress implements VolumeMoves.
func (c *Client) FetchVolumeProgress(ctx context.Context, id string) (f Fetched, err error) {
	err = c.call(ctx, http.MethodGet, volumePath(id, "/fetch"), nil, &f)
	return f, err
}

// SettleVolume implements VolumeMoves.
func (c *Client) SettleVolume(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, volumePath(id, "/settle"), none{}, nil)
}

// volumeMoveRoutes serves VolumeMoves.
func (h *handler) volumeMoveRoutes(route func(string, http.HandlerFunc)) {
	a, one := h.agent, pathPrefix+"/volumes/{id}"
	route("POST "+one+"/offer", perform(h, a.OfferVolume))
	route("POST "+one+"/fetch", answer(h, func(ctx context.Context, id string, in FetchVolumeRequest) (Fetched, error) {
		if in.Volume.ID != id {
			return Fetched{}, errOtherID
		}
		return a.FetchVolume(ctx, in)
	}))
	route("GET "+one+"/fetch", answer(h, func(ctx context.Context, id string, _ none) (Fetched, error) { return a.FetchVolumeProgress(ctx, id) }))
	route("POST "+one+"/settle", perform(h, func(ctx context.Context, id string, _ none) error { return a.SettleVolume(ctx, id) }))
}

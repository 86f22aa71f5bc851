package wire

import (
	"context"
	"io"
	"net/http"

	"github.com/spearheadcloud/spearhead/internal/treesync"
	"github.com/spearheadcloud/spearhead/model"
)

// Moves is how a container goes from one node to another. The leading head asks
// the one to offer it, the other to fetch it, again and again while it runs;
// then the one to let it depart, which stops it, and the other to fetch the
// rest; and when it is recorded that it is the other's, that it has arrived.
// All may be repeated.
type Moves interface {
	// OfferContainer lets another node read the container's files, until it is
	// removed or stays.
	OfferContainer(ctx context.Context, id string, r OfferRequest) error
	// DepartContainer stops a container, which from then on cannot be started
	// here, by nobody, until it is to stay.
	DepartContainer(ctx context.Context, id string, r StopRequest) (Ack, error)
	// StayContainer takes back that the container departs, or was offered; and
	// at its new node, where it has arrived, ends the move. Snapshots that the
	// move took of its volumes go.
	StayContainer(ctx context.Context, id string, r StayRequest) (Ack, error)
	// FetchContainer makes what the node has of a container that comes what it
	// is at its old node at this moment, and returns when that is on disk. A
	// fetch that was broken off is gone on with by the next.
	FetchContainer(ctx context.Context, r FetchRequest) (Fetched, error)
	// FetchProgress is how much was fetched of a container since the first fetch.
	FetchProgress(ctx context.Context, id string) (Fetched, error)
	// ArriveContainer makes what was fetched the container, which does not
	// run. KindConflict if nothing was, or of another generation.
	ArriveContainer(ctx context.Context, r CreateRequest) (Ack, error)
}

// OfferRequest says who may read a container's files, or a volume's.
type OfferRequest struct {
	To string `json:"to"` // id of the node
}

// StayRequest says what a container that stays is to do.
type StayRequest struct {
	Start bool `json:"start,omitempty"` // it ran before it was to depart
}

// FetchRequest says what to fetch, from which node, and how fast.
type FetchRequest struct {
	Create CreateRequest `json:"create"` // as the node is to make it
	From   Holder        `json:"from"`
	Rate   int64         `json:"rate,omitempty"` // bytes a second; 0 is without limit
}

// Fetched is what came with a fetch.
type Fetched struct {
	Bytes int64 `json:"bytes"`
	Files int   `json:"files"`
}

// Origin is what a node may ask of the one from which a container, or a volume
// that moves alone, comes to it, by its id. Whoever was not offered it is refused
// with KindForbidden.
//
// A part of a container is "root" and its storage, "log", or "volume" and its
// id, with a slash between. A volume has itself as its only part.
type Origin interface {
	// OfferedTree lists a part; see treesync.List.
	OfferedTree(ctx context.Context, id, part string) (io.ReadCloser, error)
	// OfferedFiles is the content of files of a part; see treesync.Read.
	OfferedFiles(ctx context.Context, id, part string, wants []treesync.Want) (io.ReadCloser, error)
	// OfferedSnapshots lists the snapshots of a volume, the oldest first, with
	// one of this moment at the end. KindNotImplemented where the volume's
	// storage has none.
	OfferedSnapshots(ctx context.Context, id, volume string) ([]string, error)
	// OfferedStream is a snapshot of a volume; see Agent.SendVolume.
	OfferedStream(ctx context.Context, id, volume string, r SendVolumeRequest) (io.ReadCloser, error)
}

// Node is an agent as heads and other nodes call it.
type Node interface {
	Agent
	Origin
}

type callerKey struct{}

// WithCaller says in a context which node calls.
func WithCaller(ctx context.Context, nodeID string) context.Context {
	return context.WithValue(ctx, callerKey{}, nodeID)
}

// Caller is the id of the node that calls, "" for others.
func Caller(ctx context.Context) string {
	id, _ := ctx.Value(callerKey{}).(string)
	return id
}

// OfferContainer implements Moves.
func (c *Client) OfferContainer(ctx context.Context, id string, r OfferRequest) error {
	return c.call(ctx, http.MethodPost, containerPath(id, "/offer"), r, nil)
}

// DepartContainer implements Moves.
func (c *Client) DepartContainer(ctx context.Context, id string, r StopRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/depart"), r, &ack)
	return ack, err
}

// StayContainer implements Moves.
func (c *Client) StayContainer(ctx context.Context, id string, r StayRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/stay"), r, &ack)
	return ack, err
}

// FetchContainer implements Moves.
func (c *Client) FetchContainer(ctx context.Context, r FetchRequest) (f Fetched, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(r.Create.Container.ID, "/fetch"), r, &f)
	return f, err
}

// FetchProgress implements Moves.
func (c *Client) FetchProgress(ctx context.Context, id string) (f Fetched, err error) {
	err = c.call(ctx, http.MethodGet, containerPath(id, "/fetch"), nil, &f)
	return f, err
}

// ArriveContainer implements Moves.
func (c *Client) ArriveContainer(ctx context.Context, r CreateRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(r.Container.ID, "/arrive"), r, &ack)
	return ack, err
}

// moveRoutes serves Moves.
func (h *handler) moveRoutes(route func(string, http.HandlerFunc)) {
	a, one := h.agent, pathPrefix+"/containers/{id}"
	route("POST "+one+"/offer", answer(h, func(ctx context.Context, id string, in OfferRequest) (none, error) {
		return none{}, a.OfferContainer(ctx, id, in)
	}))
	route("POST "+one+"/depart", answer(h, a.DepartContainer))
	route("POST "+one+"/stay", answer(h, a.StayContainer))
	route("POST "+one+"/fetch", answer(h, func(ctx context.Context, id string, in FetchRequest) (Fetched, error) {
		if in.Create.Container.ID != id {
			return Fetched{}, errOtherID
		}
		return a.FetchContainer(ctx, in)
	}))
	route("GET "+one+"/fetch", answer(h, func(ctx context.Context, id string, _ none) (Fetched, error) { return a.FetchProgress(ctx, id) }))
	route("POST "+one+"/arrive", answer(h, func(ctx context.Context, id string, in CreateRequest) (Ack, error) {
		if in.Container.ID != id {
			return Ack{}, errOtherID
		}
		return a.ArriveContainer(ctx, in)
	}))
}

var errOtherID = model.Errorf(model.KindInvalid, "the container's id is not the one in the address")

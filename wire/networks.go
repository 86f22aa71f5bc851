package wire

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
)

// Networks is what a head tells a node of networks.
type Networks interface {
	// SetNetworks gives the node what it has to know of networks, whole or as
	// changes, and answers with the version that it has then. When it returns
	// the kernel, the firewalls and the resolvers act by it. The same version
	// again is no error. KindConflict if the changes are of another version
	// than the node has, and then it wants the whole; or if the node has a
	// newer one, told by a newer leader.
	SetNetworks(ctx context.Context, d NodeNetworks) (NetworksVersion, error)
	// Connect gives a container one more NIC, at once if it runs. A NIC of the
	// same network is replaced.
	Connect(ctx context.Context, id string, r ConnectRequest) (Ack, error)
	// Disconnect takes the container off a network. To be off it already is no
	// error.
	Disconnect(ctx context.Context, id string, r DisconnectRequest) (Ack, error)
}

// NodeNetworks is a version of what a node has to know of networks. A whole
// one holds all of it. One of changes, which has a Base, holds what is new or
// different since then, and what is gone. DiffNetworks makes it.
type NodeNetworks struct {
	Version uint64 `json:"version"` // grows with the replicated state: a raft index
	Base    uint64 `json:"base,omitempty"`
	// Force has the node take a whole that is older than what it has: the
	// data center was restored from a backup.
	Force bool `json:"force,omitempty"`
	model.NetworkState
	Gone *NetworksGone `json:"gone,omitempty"` // with a Base only
}

// NetworksGone says what is no more.
type NetworksGone struct {
	Networks  []string                  `json:"networks,omitempty"`  // ids
	Members   map[string][]string       `json:"members,omitempty"`   // network → ids of containers
	Sets      []string                  `json:"sets,omitempty"`      // ids
	Prefixes  map[string][]netip.Prefix `json:"prefixes,omitempty"`  // set → what is not in it any more
	Firewalls []string                  `json:"firewalls,omitempty"` // ids of containers
}

// NetworksVersion is the version that a node has.
type NetworksVersion struct {
	Version uint64 `json:"version"`
}

// ConnectRequest is a NIC and its network. With Primary set it takes the
// default route over.
type ConnectRequest struct {
	NIC     model.NIC     `json:"nic"`
	Network model.Network `json:"network"`
}

// DisconnectRequest names the network to leave. Primary, if not empty, is the
// network whose NIC has the default route from then on.
type DisconnectRequest struct {
	NetworkID string `json:"network_id"`
	Primary   string `json:"primary,omitempty"`
}

// SetNetworks implements Networks.
func (c *Client) SetNetworks(ctx context.Context, d NodeNetworks) (v NetworksVersion, err error) {
	err = c.call(ctx, http.MethodPost, "/networks", d, &v)
	return v, err
}

// Connect implements Networks.
func (c *Client) Connect(ctx context.Context, id string, r ConnectRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/connect"), r, &ack)
	return ack, err
}

// Disconnect implements Networks.
func (c *Client) Disconnect(ctx context.Context, id string, r DisconnectRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/disconnect"), r, &ack)
	return ack, err
}

func (h *handler) networkRoutes(route func(string, http.HandlerFunc)) {
	containers := pathPrefix + "/containers/{id}"
	route("POST "+containers+"/connect", answer(h, h.agent.Connect))
	route("POST "+containers+"/disconnect", answer(h, h.agent.Disconnect))
	route("POST "+pathPrefix+"/networks", answer(h, func(ctx context.Context, _ string, in NodeNetworks) (NetworksVersion, error) {
		return h.agent.SetNetworks(ctx, in)
	}))
}

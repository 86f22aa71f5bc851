package dockerapi

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
)

// Networks are those that an account's containers may be on: the data center's
// and the account's own.
type Networks interface {
	Networks(ctx context.Context, a model.Account) ([]model.Network, error)
	// NetworkPools are those that the account's containers may ask for.
	NetworkPools(ctx context.Context, a model.Account) ([]NetworkPool, error)
	// CreateNetwork makes a network of the account's own. What asked leaves
	// open is chosen; its kind, owner and id always are.
	CreateNetwork(ctx context.Context, a model.Account, asked model.Network) (model.Network, error)
	// RemoveNetwork removes a network of the account by name or id.
	// KindForbidden while something is on it, or if it is not the account's.
	RemoveNetwork(ctx context.Context, a model.Account, ref string) error
	// PruneNetworks removes the account's networks that nothing is on and that
	// want accepts, and returns their names.
	PruneNetworks(ctx context.Context, a model.Account, want func(*model.Network) bool) (removed []string, err error)
}

// NetworkPool is several networks that containers ask for as for one.
type NetworkPool struct {
	ID, Name string
	Default  bool
	Networks []model.Network // that the account may use, at least one
}

// Connections puts containers on networks and takes them off, while they run
// or not. References and visibility are as with Containers.
type Connections interface {
	Connect(ctx context.Context, a model.Account, ref string, e model.Endpoint) error
	// Disconnect with force does not wait for a node that is away.
	Disconnect(ctx context.Context, a model.Account, ref, network string, force bool) error
}

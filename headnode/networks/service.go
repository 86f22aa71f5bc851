package networks

import (
	"context"
	"log/slog"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Store is what the use cases need of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	Changed() <-chan struct{}
	// Fresh returns when this head knows all that was agreed on before.
	Fresh(ctx context.Context) error
}

// Agents are the nodes as this head sees them; see package nodes.
type Agents interface {
	Agent(nodeID string) wire.Agent
	Connected(nodeID string) bool
}

// Config is what a Service stands on.
type Config struct {
	Store  Store
	Agents Agents
	Logger *slog.Logger
}

// Service does what is asked of networks. It implements dockerapi.Networks,
// for any number of goroutines.
type Service struct {
	store  Store
	agents Agents
	log    *slog.Logger
}

// New returns a Service.
func New(c Config) *Service {
	return &Service{store: c.Store, agents: c.Agents, log: c.Logger}
}

// Networks implements dockerapi.Networks: those that the account's containers
// may be on.
func (s *Service) Networks(_ context.Context, a model.Account) ([]model.Network, error) {
	var usable []model.Network
	for _, n := range s.store.View().Networks() {
		if n.UsableBy(a.ID) {
			usable = append(usable, *n)
		}
	}
	return usable, nil
}

// NetworkPools implements dockerapi.Networks: those that the account's
// containers may be on, with their networks in place of their ids.
func (s *Service) NetworkPools(_ context.Context, a model.Account) ([]dockerapi.NetworkPool, error) {
	v := s.store.View()
	var usable []dockerapi.NetworkPool
	for _, p := range v.NetworkPools() {
		if place, ok := placeOfPool(v, a.ID, p); ok {
			usable = append(usable, dockerapi.NetworkPool{ID: p.ID, Name: p.Name, Default: p.Default, Networks: place.Networks})
		}
	}
	return usable, nil
}

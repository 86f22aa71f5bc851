package transfers

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	// patience is for how long a node that cannot be reached is waited for
	// before a move is undone: an agent that was killed is back in that time.
	patience = 15 * time.Second
	// retryAfter is between two tries of a step that failed.
	retryAfter = time.Second
)

// Store is what moves need of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	Wait(ctx context.Context, cond func(*state.View) (bool, error)) error
}

// Containers is what moves need of the use cases of containers.
type Containers interface {
	PlaceTransfer(ctx context.Context, id string) error
	ComingRequest(ctx context.Context, c model.Container) (wire.CreateRequest, error)
	See(ctx context.Context, nodeID string, ack wire.Ack) error
}

// Config is what a Service stands on.
type Config struct {
	Store Store
	// Decisions takes what this head decides as the leader, and must refuse it
	// when this head does not lead any more; nil is Store.
	Decisions interface {
		Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	}
	Agent      func(nodeID string) wire.Agent
	Connected  func(nodeID string) bool
	Containers Containers
	Logger     *slog.Logger
	// Patience and RetryAfter are for tests; 0 is the usual.
	Patience, RetryAfter time.Duration
}

// Service moves containers and volumes. It is safe for concurrent use.
type Service struct {
	Config

	claims claims
}

// New returns a Service.
func New(c Config) *Service {
	if c.Decisions == nil {
		c.Decisions = c.Store
	}
	c.Patience, c.RetryAfter = cmp.Or(c.Patience, patience), cmp.Or(c.RetryAfter, retryAfter)
	return &Service{Config: c}
}

// Run goes the ways of containers and volumes until ctx ends, whoever has begun
// them, and removes copies that ways of containers have left. Only the leader may
// call it, once at a time.
func (s *Service) Run(ctx context.Context) {
	var volumes sync.WaitGroup
	volumes.Go(func() { s.tend(ctx, movingVolumes, s.finishVolume) })
	s.tend(ctx, unfinished, s.finish)
	volumes.Wait()
}

// unfinished lists the containers with something to do. Of those that go a way
// together it is the one that carries it.
func unfinished(v *state.View) (ids []string) {
	add := func(c *model.Container) {
		if c.Transfer == nil || c.Transfer.CarriedBy(c.ID) {
			ids = append(ids, c.ID)
		}
	}
	for _, c := range v.TransferredContainers() {
		add(c)
	}
	for _, c := range v.MovingContainers() {
		if c.Move.Fetched {
			add(c)
		}
	}
	for _, c := range v.FormerContainers() {
		add(c)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

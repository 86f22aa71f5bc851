package containers

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/internal/idset"
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
	Wait(ctx context.Context, cond func(*state.View) (bool, error)) error
}

// Agents are the nodes as this head sees them. Agent never returns nil: calls
// to a node that cannot be reached fail with KindUnavailable.
type Agents interface {
	Agent(nodeID string) wire.Agent
	Connected(nodeID string) bool
}

// Images is what the use cases need of those of images.
type Images interface {
	// Ensure makes a node hold an image that the account may use.
	Ensure(ctx context.Context, accountID string, img model.Image, nodeID string) error
	// Adopt gives the account the image that made makes on a node, by name
	// or, if that is empty, without one.
	Adopt(ctx context.Context, accountID, nodeID, name string, made func() (model.Image, error)) (model.Image, error)
}

// Fabrics makes networks for accounts.
type Fabrics interface {
	// EnsureDefault makes sure that containers of the account that name no
	// network have one.
	EnsureDefault(ctx context.Context, a model.Account) error
}

// Config is what a Service stands on.
type Config struct {
	Store Store
	// Decisions takes what this head decides as the leader, and must refuse it
	// when this head does not lead any more: by then others have decided too.
	// nil is Store, as on a head that is alone.
	Decisions Proposer
	Agents    Agents
	Images    Images
	// Reserver is asked for reservations; nil is the Service itself, as on a
	// head that always leads.
	Reserver Reserver
	// Fabrics makes the default network of an account that needs one; nil
	// leaves it to operators.
	Fabrics Fabrics
	// Publisher makes ports reachable at this head's address; nil is a head that
	// does not.
	Publisher Publisher
	// Requests, Streams and Waits limit what one account has under way at
	// once; zero is 64, 64 and 1,024.
	Requests, Streams, Waits int
	// Placed, if not nil, is told of each decision that this head made on
	// where a container goes; it must be quick.
	Placed func(took time.Duration, err error)
	// Load is what a node last told of itself; nil is for a head that hears
	// nothing: it takes all storage for well.
	Load   func(nodeID string) (model.NodeLoad, bool)
	Logger *slog.Logger
}

// Service does what is asked of containers. It implements
// dockerapi.Containers, Execs, Control, Usage and Files, for any number of
// goroutines.
type Service struct {
	store     Store
	decisions Proposer
	agents    Agents
	images    Images
	log       *slog.Logger

	reserver Reserver
	placed   func(took time.Duration, err error)        // may be nil
	load     func(nodeID string) (model.NodeLoad, bool) // may be nil

	requests, streams, waits *gate

	// placing serialises decisions, so that each sees the promises of all
	// before it.
	placing sync.Mutex
	fleet   fleet

	working idset.Set

	failedStarts failedStarts

	lists     listCache
	fabrics   Fabrics
	publisher Publisher // may be nil
}

var (
	_ dockerapi.Containers  = (*Service)(nil)
	_ dockerapi.Execs       = (*Service)(nil)
	_ dockerapi.Control     = (*Service)(nil)
	_ dockerapi.Usage       = (*Service)(nil)
	_ dockerapi.Files       = (*Service)(nil)
	_ dockerapi.Connections = (*Service)(nil)
	_ Reserver              = (*Service)(nil)
)

// New returns a Service.
func New(c Config) *Service {
	s := &Service{
		store: c.Store, agents: c.Agents, images: c.Images, log: c.Logger,
		requests: newGate("requests", cmp.Or(c.Requests, 64)),
		streams:  newGate("streams", cmp.Or(c.Streams, 64)),
		waits:    newGate("waits", cmp.Or(c.Waits, 1024)),
		fleet:    newFleet(),
		fabrics:  c.Fabrics, publisher: c.Publisher,
	}
	if s.decisions = c.Decisions; s.decisions == nil {
		s.decisions = c.Store
	}
	s.placed, s.load = c.Placed, c.Load
	if s.reserver = c.Reserver; s.reserver == nil {
		s.reserver = s
	}
	return s
}

// Working lists the containers that this head's requests are creating at this
// moment, and the updates that they carry out, by their ids; reconciliation
// leaves them alone.
func (s *Service) Working() []string { return s.working.List() }

// journalDelay bounds how long an answer waits for its change to show.
const journalDelay = 30 * time.Second

// see returns when this head's state includes a place in a node's journal.
func (s *Service) see(ctx context.Context, nodeID string, ack wire.Ack) error {
	if ack.Seq == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, journalDelay, errNotSeen)
	defer cancel()
	err := s.store.Wait(ctx, func(v *state.View) (bool, error) {
		n, ok := v.Node(nodeID)
		if !ok {
			return false, model.Errorf(model.KindUnavailable, "the container's node was removed from the data center meanwhile")
		}
		return n.JournalEpoch == ack.Epoch && n.JournalSeq >= ack.Seq, nil
	})
	if err != nil && context.Cause(ctx) == errNotSeen {
		return errNotSeen
	}
	return err
}

var errNotSeen = model.Errorf(model.KindUnavailable,
	"the node has done it, but the data center has not recorded it yet; look again in a moment")

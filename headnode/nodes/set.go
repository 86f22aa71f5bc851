package nodes

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Store is what the set needs of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	Changed() <-chan struct{}
}

// Config is what a Set stands on.
type Config struct {
	Store Store
	// Dial makes the agent of a node. It connects when it is first used, and
	// is closed, if it is an io.Closer, when the node's address changes.
	Dial func(model.Node) wire.Agent
	// Connected is called by the leader's follower each time that it has a
	// node's journal, in its own goroutine. Its context ends with the
	// connection.
	Connected func(context.Context, Connection)
	Logger    *slog.Logger
}

// Set is the nodes of the data center. It is safe for concurrent use.
type Set struct {
	Config

	tries chan struct{} // holds one when a node was asked for a sign of life

	mu    sync.Mutex
	nodes map[string]*node // by id
}

// node is one node as this head sees it.
type node struct {
	address string
	agent   wire.Agent

	tried   bool // whether it was ever asked for a sign of life to the end
	answers bool
	missed  int       // questions in a row that it did not answer
	seen    time.Time // the last sign of life
	doubts  chan struct{}
	boots   []string // the latest starts of its agent, newest first
	doubled time.Time

	following time.Time // since when this head, which leads, follows its journal
	journal   bool      // it is there
	quiet     uint64    // how often the journal was seen at its end
	quieted   chan struct{}
	ended     time.Time // when the journal was last seen at its end
}

// New returns a Set.
func New(c Config) *Set {
	return &Set{Config: c, tries: make(chan struct{}, 1), nodes: map[string]*node{}}
}

// Agent returns the agent of a node. It is never nil: calls to a node that is
// unknown, or that gives no sign of life, fail at once with KindUnavailable.
func (s *Set) Agent(nodeID string) wire.Agent {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.node(nodeID)
	if n == nil || n.tried && !n.answers {
		return unreachable{}
	}
	return n.agent
}

// Connected reports whether the node gave a sign of life lately. On the leader
// it also takes the node's journal, without which nothing that the node does
// could be recorded.
func (s *Set) Connected(nodeID string) bool {
	connected, _ := s.Seen(nodeID)
	return connected
}

// Seen is Connected, and when the last sign of life came.
func (s *Set) Seen(nodeID string) (connected bool, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[nodeID]
	if n == nil {
		return false, time.Time{}
	}
	return n.answers && n.recorded(), n.seen
}

// Close closes all agents.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.nodes {
		closeAgent(n.agent)
		delete(s.nodes, id)
	}
}

// told notes that the node's journal has said something.
func (n *node) told() {
	n.tried, n.answers, n.missed, n.seen, n.journal = true, true, 0, time.Now(), true
}

// firstJournal is how long a new leader may need to follow a node's journal.
const firstJournal = 6 * time.Second

// recorded reports whether what the node does is recorded: by another head, or
// by this one, which needs a moment when it comes to lead.
func (n *node) recorded() bool {
	return n.following.IsZero() || n.journal || time.Since(n.following) < firstJournal
}

// node returns what is known of a registered node, nil of another one. The
// caller holds mu.
func (s *Set) node(nodeID string) *node {
	registered, ok := s.Store.View().Node(nodeID)
	if !ok {
		return nil
	}
	n := s.nodes[nodeID]
	if n != nil && n.address == registered.Address {
		return n
	}
	fresh := &node{address: registered.Address, agent: s.Dial(registered), doubts: make(chan struct{}, 1), quieted: make(chan struct{})}
	if n != nil {
		closeAgent(n.agent)
		fresh.following = n.following
	}
	s.nodes[nodeID] = fresh
	return fresh
}

func closeAgent(a wire.Agent) {
	switch c := a.(type) {
	case io.Closer:
		_ = c.Close() // its connections are of no use any more
	case interface{ Close() }:
		c.Close()
	}
}

// update changes what is known of a node, if it still is.
func (s *Set) update(nodeID string, change func(*node)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.node(nodeID); n != nil {
		change(n)
	}
}

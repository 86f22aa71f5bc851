package networks

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	tellPace    = 50 * time.Millisecond // between two looks at the state
	tellTimeout = 20 * time.Second      // for one message to one node
	tellRetry   = time.Second           // after one that failed, or while the node is away
)

// Tell keeps all nodes informed of who is on their networks, and of NICs that
// changed, until ctx ends; it returns when nothing of it runs any more. Only
// the leader may call it, once at a time.
func (s *Service) Tell(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	atlas, tellers := newAtlas(), map[string]*teller{}
	running.Go(func() { s.settle(ctx) })
	pace := time.NewTicker(tellPace)
	defer pace.Stop()
	for {
		changed := s.store.Changed()
		v := s.store.View()
		for id := range atlas.follow(v) {
			if _, there := v.Node(id); !there {
				continue
			}
			t := tellers[id]
			if t == nil {
				t = &teller{node: id, news: make(chan struct{}, 1)}
				tellers[id] = t
				running.Go(func() { s.teller(ctx, t) })
			}
			t.set(v.Index(), atlas.of(id))
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
	}
}

// teller is one node's goroutine: it tells the newest that there is, and lets
// go of what was not told in time.
type teller struct {
	node string
	news chan struct{}

	mu     sync.Mutex
	latest wire.NodeNetworks
}

// set has the node told of what is different from the last time.
func (t *teller) set(version uint64, is model.NetworkState) {
	t.mu.Lock()
	news := t.latest.Version == 0 || !reflect.DeepEqual(t.latest.NetworkState, is)
	if news {
		t.latest = wire.NodeNetworks{Version: version, NetworkState: is}
	}
	t.mu.Unlock()
	if !news {
		return
	}
	select {
	case t.news <- struct{}{}:
	default:
	}
}

func (t *teller) get() wire.NodeNetworks {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest
}

// teller tells a node until ctx ends. A node that lost what it was told, and
// one that another leader has told since, gets the whole.
func (s *Service) teller(ctx context.Context, t *teller) {
	var told *wire.NodeNetworks // what the node has, as far as is known
	retry := time.NewTicker(tellRetry)
	defer retry.Stop()
	for {
		latest := t.get()
		if told == nil || told.Version != latest.Version {
			told = s.tell(ctx, t.node, told, latest)
		}
		again := retry.C
		if told != nil && told.Version == latest.Version {
			again = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-t.news:
		case <-again:
		}
	}
}

// tell brings a node from what it was told to the latest, and returns what it
// has then, nil if that is not known.
func (s *Service) tell(ctx context.Context, nodeID string, told *wire.NodeNetworks, latest wire.NodeNetworks) *wire.NodeNetworks {
	if !s.agents.Connected(nodeID) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	message := latest
	if told != nil {
		message = wire.DiffNetworks(*told, latest)
	}
	agent := s.agents.Agent(nodeID)
	_, err := agent.SetNetworks(ctx, message)
	if model.IsKind(err, model.KindConflict) && told != nil {
		_, err = agent.SetNetworks(ctx, latest)
	}
	// The node knows a later version than this leader's state: only a restored
	// backup does that, and only a leader that the others confirm may say so.
	if model.IsKind(err, model.KindConflict) && s.store.Fresh(ctx) == nil {
		latest.Force = true
		_, err = agent.SetNetworks(ctx, latest)
		latest.Force = false
	}
	if err != nil {
		s.log.Warn("cannot tell node of its networks", slog.String("node", nodeID), slog.Any("err", err))
		return nil
	}
	return &latest
}

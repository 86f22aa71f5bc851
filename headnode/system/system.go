package system

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Store is what a Service needs of the replicated store.
type Store interface {
	View() *state.View
	Changed() <-chan struct{}
	Leader() (id, address string)
	Stats() raftstore.Stats
}

// Config is what a Service stands on.
type Config struct {
	Store     Store
	Connected func(nodeID string) bool
	// Load is what a node told last; false if it has told nothing.
	Load      func(nodeID string) (model.NodeLoad, bool)
	ClusterID string
	Name      string // of the data center
	Version   string
	CA        []byte // PEM
}

// Service implements dockerapi.System, for any number of
// goroutines.
type Service struct{ c Config }

var _ dockerapi.System = (*Service)(nil)

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// CA implements dockerapi.System.
func (s *Service) CA() []byte { return s.c.CA }

// Network implements dockerapi.System.
func (s *Service) Network(_ context.Context, id string) (model.Network, error) {
	v := s.c.Store.View()
	n, ok := v.Network(id)
	if p, pooled := v.NetworkPool(id); pooled {
		return model.Network{ID: p.ID, Name: p.Name}, nil
	}
	if !ok {
		return model.Network{}, model.Errorf(model.KindNotFound, "network %s not found", id)
	}
	return n, nil
}

// Info implements dockerapi.System.
func (s *Service) Info(_ context.Context, a model.Account) (dockerapi.SystemInfo, error) {
	v := s.c.Store.View()
	leader, _ := s.c.Store.Leader()
	info := dockerapi.SystemInfo{
		ID: s.c.ClusterID, Name: s.c.Name, Version: s.c.Version,
		Containers: map[model.Status]int{}, Images: imagesOf(v, a.ID),
		Heads: len(s.c.Store.Stats().Heads), Leader: leader,
	}
	for _, c := range v.Containers(a.ID) {
		if c.Phase != model.PhaseReserved {
			info.Containers[c.State.Status]++
		}
	}
	lost, failing := 0, 0
	for _, n := range v.Nodes() {
		info.Nodes = append(info.Nodes, *n)
		if !s.c.Connected(n.ID) {
			lost++
		} else if load, _ := s.c.Load(n.ID); load.Storage != "" {
			failing++
		}
	}
	info.Places = s.places(v, a.ID)
	info.Warnings = warnings(leader, len(info.Nodes), lost, failing)
	return info, nil
}

// warnings are about the data center as a whole: which machine it is that fails
// is the operator's to know.
func warnings(leader string, nodes, lost, failing int) []string {
	var w []string
	if leader == "" {
		w = append(w, "WARNING: the heads have no leader: what is shown may be old, and nothing can be changed")
	}
	switch {
	case nodes == 0:
		w = append(w, "WARNING: the data center has no nodes yet")
	case lost == nodes && leader != "":
		w = append(w, "WARNING: no node is connected")
	case lost > 0 && leader != "":
		w = append(w, "WARNING: some nodes are not connected")
	}
	if failing > 0 {
		w = append(w, "WARNING: the storage of some nodes fails or is full: nothing new is put on them")
	}
	return w
}

func imagesOf(v *state.View, accountID string) int {
	ids := map[string]bool{}
	for _, n := range v.ImageNames(accountID) {
		ids[n.ImageID] = true
	}
	return len(ids)
}

// lastOrder is past every event of one raft entry.
const lastOrder = 1<<31 - 1

// Events implements dockerapi.System.
func (s *Service) Events(ctx context.Context, a model.Account, since, until time.Time, send func(model.Event) error) error {
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	v := s.c.Store.View()
	index, order := v.Index(), lastOrder
	if !since.IsZero() {
		index, order = 0, 0
	}
	for {
		changed := s.c.Store.Changed()
		for _, e := range s.c.Store.View().Events(index, order) {
			index, order = e.Index, e.Order
			if e.AccountID != a.ID || e.Time.Before(since) || !until.IsZero() && e.Time.After(until) {
				continue
			}
			if err := send(*e); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if !until.IsZero() && !time.Now().Before(until) {
				return nil
			}
			return ctx.Err()
		}
	}
}

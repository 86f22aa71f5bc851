package images

import (
	"math/rand/v2"
	"slices"

	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// chooseNode finds the least loaded node that can take bytes, which is none of
// those that tried. An image may also be on nodes that are kept for certain
// containers.
func (s *Service) chooseNode(v *state.View, tried ...string) (string, error) {
	return s.leastLoaded(v, s.fault, tried)
}

// nodeToAsk finds the least loaded node for what puts nothing on it.
func (s *Service) nodeToAsk(v *state.View) (string, error) {
	return s.leastLoaded(v, func(string) model.StorageFault { return "" }, nil)
}

func (s *Service) leastLoaded(v *state.View, fault func(nodeID string) model.StorageFault, tried []string) (string, error) {
	all := v.Nodes()
	nodes := make([]placement.Node, len(all))
	for i, n := range all {
		open := *n
		open.Owners, open.Traits, open.MaxContainers = nil, nil, 0
		connected := s.agents.Connected(n.ID) && !slices.Contains(tried, n.ID)
		nodes[i] = placement.NewNode(&open, v.Promised(n.ID), 0, connected).Telling(fault(n.ID))
	}
	d, err := placement.Decide(nodes, placement.Request{Seed: rand.Uint64()})
	return d.NodeID, err
}

// fault is what a node last told to be wrong with its storage.
func (s *Service) fault(nodeID string) model.StorageFault {
	if s.load == nil {
		return ""
	}
	l, _ := s.load(nodeID)
	return l.Storage
}

// reads reports whether what a node holds can be read: a full disk can.
func (s *Service) reads(nodeID string) bool {
	f := s.fault(nodeID)
	return f == "" || f == model.StorageFull
}

// readers are those of some nodes that are connected, in their order but for
// those whose storage fails, which come last: what is asked of them may hang.
func (s *Service) readers(ids []string) []string {
	var well, failing []string
	for _, id := range ids {
		switch {
		case !s.agents.Connected(id):
		case s.reads(id):
			well = append(well, id)
		default:
			failing = append(failing, id)
		}
	}
	return append(well, failing...)
}

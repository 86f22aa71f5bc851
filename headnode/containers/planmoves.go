package containers

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// PlannedMove is where a container of a node that is to be emptied would go.
type PlannedMove struct {
	Container *model.Container
	With      []string // ids of the others that would move with it, in one move
	To        string   // id of the node
	Reason    error    // why it cannot go; To is "" then
}

// PlanMoves shows where the containers of a node would go if they were moved
// now, one group after the other, as this head sees the nodes. Those that go
// together follow each other. It reserves nothing.
func (s *Service) PlanMoves(nodeID string) []PlannedMove {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	see := s.sight()
	s.fleet.follow(v, see)
	s.fleet.look(see)
	var planned []PlannedMove
	var counted [][]model.Container
	seen := map[string]bool{}
	for _, c := range v.ContainersOnNode(nodeID) {
		if seen[c.ID] {
			continue
		}
		group, with := v.Group(c), []string(nil)
		for _, member := range group {
			with = append(with, member.ID)
			seen[member.ID] = true
		}
		to, err := s.planGroup(v, see, group, with)
		if err == nil {
			s.fleet.decidedAll(to) // so that the next ones find less
			counted = append(counted, to)
		}
		for _, member := range group {
			p := PlannedMove{Container: member, Reason: err}
			p.With = slices.DeleteFunc(slices.Clone(with), func(id string) bool { return id == member.ID })
			if err == nil {
				p.To = to[0].NodeID
			}
			planned = append(planned, p)
		}
	}
	for _, to := range counted {
		s.fleet.settledAll(to)
	}
	return planned
}

func (s *Service) planGroup(v *state.View, see sight, group []*model.Container, with []string) ([]model.Container, error) {
	if err := v.CheckGroup(group); err != nil {
		return nil, err
	}
	members := make([]model.Container, len(group))
	for i, c := range group {
		members[i] = *c
		members[i].Transfer = &model.Transfer{With: with} // as it would be
	}
	return s.chooseTransfer(v, see, members, "")
}

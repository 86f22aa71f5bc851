package containers

import (
	"context"

	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Explain shows where a container would go if it were created now, as this
// head sees the nodes, and the best nodes there are for it, as many as asked
// for. It reserves nothing. A request that names no image fits nodes of any
// platform. With the error of a refusal comes the decision that led to it.
func (s *Service) Explain(_ context.Context, a model.Account, r model.CreateContainer, best int) (placement.Decision, error) {
	v := s.store.View()
	p := plan{account: a, request: r}
	if err := policy.Refuse(policy.Check(a, &r)); err != nil {
		return placement.Decision{}, err
	}
	steps := []func(*state.View) error{p.findRules, p.findPackage, p.findTraits, p.findNetworks}
	if r.Spec.Image != "" {
		steps = []func(*state.View) error{p.findRules, p.findImage, p.findPackage, p.findTraits, p.findNetworks}
	}
	for _, step := range steps {
		if err := step(v); err != nil {
			return placement.Decision{}, err
		}
	}
	in := p.intent(v, 0)
	s.placing.Lock()
	defer s.placing.Unlock()
	if err := v.CheckLimits(&a, &in.Container); err != nil {
		return placement.Decision{}, err
	}
	see := s.sight()
	s.fleet.follow(v, see)
	s.fleet.look(see)
	request, err := s.placementRequest(v, &in)
	if err != nil {
		return placement.Decision{}, err
	}
	request.Best = best
	return s.fleet.choose(request, see)
}

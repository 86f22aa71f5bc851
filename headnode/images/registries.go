package images

import (
	"context"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Tags implements dockerapi.Registries: a node asks, as it does for a pull.
func (s *Service) Tags(ctx context.Context, _ model.Account, ref string, auth wire.RegistryAuth) ([]string, error) {
	nodeID, err := s.nodeToAsk(s.store.View())
	if err != nil {
		return nil, err
	}
	tags, err := s.agents.Agent(nodeID).ListTags(ctx, wire.PullRequest{Ref: ref, Auth: auth})
	slices.Sort(tags)
	return tags, err
}

// Resolve implements dockerapi.Registries.
func (s *Service) Resolve(ctx context.Context, _ model.Account, ref string, auth wire.RegistryAuth) (wire.ResolvedImage, error) {
	nodeID, err := s.nodeToAsk(s.store.View())
	if err != nil {
		return wire.ResolvedImage{}, err
	}
	return s.agents.Agent(nodeID).ResolveImage(ctx, wire.PullRequest{Ref: ref, Auth: auth})
}

// Search implements dockerapi.Registries.
func (s *Service) Search(ctx context.Context, _ model.Account, r wire.SearchRequest) ([]wire.FoundImage, error) {
	nodeID, err := s.nodeToAsk(s.store.View())
	if err != nil {
		return nil, err
	}
	return s.agents.Agent(nodeID).SearchImages(ctx, r)
}

// Login implements dockerapi.Registries. It is the one thing that the head asks
// registries itself, for it brings no content that a node would have to hold.
func (s *Service) Login(ctx context.Context, _ model.Account, server string, auth wire.RegistryAuth) (identityToken string, err error) {
	return s.logins.check(ctx, server, auth)
}

package images

import (
	"cmp"
	"context"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// onNode calls do with the nodes that hold some images, those with the most of
// them first, each made to hold all, until one can be reached and has them packed;
// if there is none, another node is made to hold them. It returns the node that
// do was last called with.
func (s *Service) onNode(ctx context.Context, accountID string, all []model.Image, do func(wire.Agent) error) (nodeID string, err error) {
	holders := s.mostHolding(all)
	for _, nodeID := range holders {
		err = s.ensured(ctx, accountID, all, nodeID, do)
		if !model.IsKind(err, model.KindUnavailable) && !model.IsKind(err, model.KindNotFound) {
			return nodeID, err
		}
	}
	other, none := s.chooseNode(s.store.View(), holders...)
	if none != nil && err != nil {
		return "", err // what the holders said tells more
	}
	if none != nil {
		return "", none
	}
	return other, s.ensured(ctx, accountID, all, other, do)
}

func (s *Service) ensured(ctx context.Context, accountID string, all []model.Image, nodeID string, do func(wire.Agent) error) error {
	for _, img := range all {
		if err := s.Ensure(ctx, accountID, img, nodeID); err != nil {
			return err
		}
	}
	return do(s.agents.Agent(nodeID))
}

// mostHolding are the connected nodes that hold any of some images, those with
// the most of them first but for those whose storage fails.
func (s *Service) mostHolding(all []model.Image) []string {
	count := map[string]int{}
	var ids []string
	for _, img := range all {
		for _, nodeID := range img.Holders {
			if count[nodeID]++; count[nodeID] == 1 {
				ids = append(ids, nodeID)
			}
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
	return s.readers(ids)
}

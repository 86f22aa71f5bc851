package images

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// onHolder calls do with the nodes that hold an image, one after the other,
// until one can be reached and has it; if there is none, another node is made
// to hold it. It returns the node that do was last called with.
func (s *Service) onHolder(ctx context.Context, accountID string, img model.Image, do func(wire.Agent) error) (nodeID string, err error) {
	var tried []string
	for _, nodeID := range s.readers(img.Holders) {
		err = do(s.agents.Agent(nodeID))
		if !model.IsKind(err, model.KindUnavailable) && !model.IsKind(err, model.KindNotFound) {
			return nodeID, err
		}
		tried = append(tried, nodeID)
	}
	other, none := s.chooseNode(s.store.View(), tried...)
	if none != nil && err != nil {
		return "", err // what the holders said tells more
	}
	if none != nil {
		return "", none
	}
	return other, s.ensured(ctx, accountID, []model.Image{img}, other, do)
}

// onNode calls do with a node that holds all images: the one that holds the
// most of them already.
func (s *Service) onNode(ctx context.Context, accountID string, all []model.Image, do func(wire.Agent) error) error {
	nodeID := s.mostHolding(all)
	if nodeID == "" {
		var err error
		if nodeID, err = s.chooseNode(s.store.View()); err != nil {
			return err
		}
	}
	return s.ensured(ctx, accountID, all, nodeID, do)
}

func (s *Service) ensured(ctx context.Context, accountID string, all []model.Image, nodeID string, do func(wire.Agent) error) error {
	for _, img := range all {
		if err := s.Ensure(ctx, accountID, img, nodeID); err != nil {
			return err
		}
	}
	return do(s.agents.Agent(nodeID))
}

// mostHolding is the connected node with storage that can be read that holds
// the most of some images, "" if none holds any.
func (s *Service) mostHolding(all []model.Image) string {
	count := map[string]int{}
	for _, img := range all {
		for _, nodeID := range img.Holders {
			if s.agents.Connected(nodeID) && s.reads(nodeID) {
				count[nodeID]++
			}
		}
	}
	best := ""
	for nodeID, n := range count {
		if best == "" || n > count[best] || n == count[best] && nodeID < best {
			best = nodeID
		}
	}
	return best
}

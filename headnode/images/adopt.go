package images

import (
	"context"
	"slices"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Adopt gives an account the image that made makes on a node: under a
// normalized name, or, if that is empty, without one. No sweep takes the image
// away before the account has it.
func (s *Service) Adopt(ctx context.Context, accountID, nodeID, name string, made func() (model.Image, error)) (model.Image, error) {
	s.bytes.RLock()
	defer s.bytes.RUnlock()
	img, err := made()
	if err != nil {
		return img, err
	}
	if err := failpoint.Hit("head.commit.made"); err != nil {
		return img, err
	}
	return img, s.give(ctx, accountID, nodeID, command.ActionTag, model.ImageName{Ref: name}, img)
}

// Local reports whether no registry is known to have an image: the account
// has no name that resolved to it there. Only its holders can run it.
func Local(v *state.View, accountID, imageID string) bool {
	return !slices.ContainsFunc(namesOf(v, accountID, imageID), func(n model.ImageName) bool { return n.Digest != "" })
}

// nameless reports whether a name only says that the account has the image.
func nameless(n model.ImageName) bool { return n.Ref == n.ImageID }

package images

import (
	"context"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Adopt gives an account the image that made makes on a node: under a
// normalized name, or, if that is empty, without one. No sweep takes the image
// away before the account has it.
func (s *Service) Adopt(ctx context.Context, accountID, nodeID, name string, made func() (model.Image, error)) (model.Image, error) {
	img, moved, err := s.adopt(ctx, accountID, nodeID, name, made)
	if err == nil && moved {
		s.Sweep(ctx) // the name has moved; what it named may be nobody's now
	}
	return img, err
}

func (s *Service) adopt(ctx context.Context, accountID, nodeID, name string, made func() (model.Image, error)) (img model.Image, moved bool, err error) {
	s.bytes.RLock()
	defer s.bytes.RUnlock()
	if img, err = made(); err != nil {
		return img, false, err
	}
	if err := failpoint.Hit("head.commit.made"); err != nil {
		return img, false, err
	}
	img.Holders = []string{nodeID}
	now := time.Now().UTC()
	put := command.PutImage{Image: img, Action: command.ActionTag, Time: now}
	put.Name = model.ImageName{AccountID: accountID, Ref: img.ID, ImageID: img.ID, Updated: now}
	if name != "" {
		put.Name.Ref = name
		before, had := s.store.View().ImageName(accountID, name)
		moved = had && before.ImageID != img.ID
	}
	_, err = s.store.Propose(ctx, put)
	return img, moved, err
}

// Local reports whether no registry is known to have an image: the account
// has no name that resolved to it there. Only its holders can run it.
func Local(v *state.View, accountID, imageID string) bool {
	return !slices.ContainsFunc(namesOf(v, accountID, imageID), func(n model.ImageName) bool { return n.Digest != "" })
}

// nameless reports whether a name only says that the account has the image.
func nameless(n model.ImageName) bool { return n.Ref == n.ImageID }

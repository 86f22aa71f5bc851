package images

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// own gives an account an image that a node has got from it: under a
// normalized name or, if that is empty, without one. The caller expects it, so
// that no sweep has removed it since.
func (s *Service) own(ctx context.Context, accountID, nodeID, action, name string, img model.Image) error {
	s.bytes.RLock()
	defer s.bytes.RUnlock()
	return s.give(ctx, accountID, nodeID, action, model.ImageName{Ref: name}, img)
}

// give records an image with one more holder and an account's name for it,
// whose Ref and Digest are given. What the name meant before stays the
// account's, as an image without a name.
func (s *Service) give(ctx context.Context, accountID, nodeID, action string, name model.ImageName, img model.Image) error {
	if err := checkName(name.Ref); err != nil {
		return err
	}
	v := s.store.View()
	if err := s.keepUnnamed(ctx, v, accountID, name.Ref, img.ID); err != nil {
		return err
	}
	img = settled(v, img)
	img.Holders = []string{nodeID}
	name.AccountID, name.ImageID, name.Updated = accountID, img.ID, time.Now().UTC()
	if name.Ref == "" {
		name.Ref = img.ID
	}
	_, err := s.store.Propose(ctx, command.PutImage{Image: img, Name: name, Action: action, Time: name.Updated})
	return err
}

// hold records that a node holds an image, too.
func (s *Service) hold(ctx context.Context, nodeID string, img model.Image) error {
	img = settled(s.store.View(), img)
	img.Holders = []string{nodeID}
	_, err := s.store.Propose(ctx, command.PutImage{Image: img, Action: command.ActionPull, Time: time.Now().UTC()})
	return err
}

// keepUnnamed lets an account keep the image that a name is about to leave, if
// the account has no other name for it.
func (s *Service) keepUnnamed(ctx context.Context, v *state.View, accountID, ref, imageID string) error {
	before, had := v.ImageName(accountID, ref)
	if !had || before.ImageID == imageID || len(namesOf(v, accountID, before.ImageID)) > 1 {
		return nil
	}
	return s.keep(ctx, v, accountID, before.ImageID)
}

// keep lets an account have an image without a name.
func (s *Service) keep(ctx context.Context, v *state.View, accountID, imageID string) error {
	img, ok := v.Image(imageID)
	if !ok {
		return nil
	}
	img.Holders = nil // those that the state knows stay
	now := time.Now().UTC()
	_, err := s.store.Propose(ctx, command.PutImage{
		Image: img, Action: command.ActionTag, Time: now,
		Name: model.ImageName{AccountID: accountID, Ref: img.ID, ImageID: img.ID, Updated: now},
	})
	return err
}

// settled is img as the state has it, if it has it and a node holds it. The
// same image can have come with another manifest, of layers that are packed
// otherwise; what other accounts' names rest on does not change for that.
func settled(v *state.View, img model.Image) model.Image {
	if known, ok := v.Image(img.ID); ok && len(known.Holders) > 0 {
		return known
	}
	return img
}

package images

import (
	"context"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// PruneImages implements dockerapi.ImagePruner. What is reclaimed are the
// layers that no image left to the account has: what other accounts keep is
// not told.
func (s *Service) PruneImages(ctx context.Context, a model.Account, want func(dockerapi.Image) bool) (removed []dockerapi.RemovedImage, reclaimed int64, err error) {
	all, err := s.List(ctx, a)
	if err != nil {
		return nil, 0, err
	}
	var gone []dockerapi.Image
	var left []model.Image
	for _, img := range all {
		if img.Containers > 0 || !want(img) {
			left = append(left, img.Image)
			continue
		}
		r, err := s.remove(ctx, a.ID, img.ID, img.Names, img.Names, false)
		if err != nil {
			return removed, 0, err
		}
		removed = append(removed, r)
		gone = append(gone, img)
	}
	s.Sweep(ctx)
	v := s.store.View()
	for _, c := range v.Containers(a.ID) { // their images may have no names
		img, _ := v.Image(c.Spec.ImageID)
		left = append(left, img)
	}
	reclaimed = unique(gone, left)
	_, err = s.store.Propose(ctx, command.RecordEvent{Event: model.Event{
		Time: time.Now().UTC(), AccountID: a.ID, Type: "image", Action: "prune",
		Attributes: map[string]string{"reclaimed": strconv.FormatInt(reclaimed, 10)},
	}})
	return removed, reclaimed, err
}

// unique sums up the layers that images in gone have and none in left has. A
// layer is kept once for all that have it and all below it.
func unique(gone []dockerapi.Image, left []model.Image) int64 {
	seen := map[string]bool{}
	for _, img := range left {
		for _, l := range img.Layers() {
			seen[l.ChainID] = true
		}
	}
	var sum int64
	for _, img := range gone {
		for _, l := range img.Layers() {
			if !seen[l.ChainID] {
				seen[l.ChainID] = true
				sum += l.Size
			}
		}
	}
	return sum
}

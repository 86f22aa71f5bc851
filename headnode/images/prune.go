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

// unique sums up the layers that images in gone have and none in left has.
func unique(gone []dockerapi.Image, left []model.Image) int64 {
	seen := map[string]bool{}
	for _, img := range left {
		for _, id := range img.DiffIDs {
			seen[id] = true
		}
	}
	var sum int64
	for _, img := range gone {
		sizes := layerSizes(&img.Image)
		if len(sizes) != len(img.DiffIDs) {
			sum += img.Size // its history does not tell its layers apart
			continue
		}
		for i, id := range img.DiffIDs {
			if !seen[id] {
				seen[id] = true
				sum += sizes[i]
			}
		}
	}
	return sum
}

// layerSizes are the sizes of an image's layers, the lowest first, as its
// history has them.
func layerSizes(img *model.Image) []int64 {
	var sizes []int64
	for _, h := range img.History {
		if !h.EmptyLayer {
			sizes = append(sizes, h.Size)
		}
	}
	return sizes
}

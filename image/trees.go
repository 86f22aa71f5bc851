package image

import (
	"context"

	"github.com/spearheadcloud/spearhead/image/delta"
)

// Forms of what Tree returns.
const (
	FormUpper = "upper" // the upper directory of an overlay
	FormClone = "clone" // a clone of the image's tree
)

// Tree returns the directory that holds what a container wrote to its root, and
// in what form, so that it can be made equal to that of the same container on
// another node while neither is mounted there. KindNotFound if there is no root.
func (s *Store) Tree(ctx context.Context, containerID string) (dir, form string, err error) {
	if _, err := s.imageOf(ctx, containerID); err != nil {
		return "", "", err
	}
	dir, kind, err := s.drive.tree(ctx, containerID)
	if kind == delta.Clone {
		return dir, FormClone, err
	}
	return dir, FormUpper, err
}

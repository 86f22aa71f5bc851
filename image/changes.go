package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image/delta"
	"github.com/spearheadcloud/spearhead/model"
)

// Size measures the root of a container: what it wrote, and that together with
// its image. KindNotFound if there is no such root.
func (s *Store) Size(ctx context.Context, containerID string) (model.ContainerSize, error) {
	h, err := s.imageOf(ctx, containerID)
	if err != nil {
		return model.ContainerSize{}, err
	}
	written, err := s.drive.size(ctx, containerID)
	if err != nil {
		return model.ContainerSize{}, fmt.Errorf("cannot measure the root of container %s: %w", model.ShortID(containerID), err)
	}
	return model.ContainerSize{RW: written, Root: written + h.image.Size}, nil
}

// Changes lists the files in which the root of a container differs from its
// image, sorted by path; a directory is also listed if only something in it
// differs. What is mounted in the container is no part of its root.
// KindNotFound if there is no such root.
func (s *Store) Changes(ctx context.Context, containerID string) ([]model.FileChange, error) {
	changes := []model.FileChange{}
	err := s.compare(ctx, containerID, func(c delta.Change) error {
		changes = append(changes, model.FileChange{Path: c.Path, Kind: c.Kind})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(changes, func(a, b model.FileChange) int { return strings.Compare(a.Path, b.Path) })
	return changes, nil
}

// imageOf returns the image of a container's root.
func (s *Store) imageOf(ctx context.Context, containerID string) (held, error) {
	if err := checkContainer(containerID); err != nil {
		return held{}, err
	}
	s.mu.Lock()
	imageID, ok := s.roots[containerID]
	s.mu.Unlock()
	if !ok {
		return held{}, noRoot(containerID)
	}
	return s.hold(scoped(ctx), imageID)
}

func noRoot(containerID string) error {
	return model.Errorf(model.KindNotFound, "container %s has no root on this node", model.ShortID(containerID))
}

// compare visits all changes of a container's root. If the root is removed
// meanwhile it fails: what was seen may then be less than there was.
func (s *Store) compare(ctx context.Context, containerID string, visit func(delta.Change) error) error {
	h, err := s.imageOf(ctx, containerID)
	if err != nil {
		return err
	}
	lower, err := s.openImage(scoped(ctx), h.image.ID)
	if err != nil {
		return err
	}
	defer unix.Close(lower)
	dir, kind, err := s.drive.tree(ctx, containerID)
	if err != nil {
		return err
	}
	tree, err := openDirectory(dir)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := delta.Walk(ctx, lower, tree, kind, visit); err != nil {
		return comparisonError(containerID, err)
	}
	if _, err := s.imageOf(ctx, containerID); err != nil {
		return err
	}
	return nil
}

func comparisonError(containerID string, err error) error {
	var typed *model.Error
	if errors.As(err, &typed) {
		return err
	}
	return fmt.Errorf("cannot compare the root of container %s with its image: %w", model.ShortID(containerID), err)
}

// openImage returns a descriptor (O_PATH) of the tree that an image's layers
// make. It shows the tree as long as it is open, though nothing is mounted any
// more by then.
func (s *Store) openImage(ctx context.Context, imageID string) (fd int, err error) {
	mounts, err := s.layers.Mounts(ctx, viewKey(imageID))
	if err != nil {
		return -1, fmt.Errorf("cannot find the image's layers: %w", err)
	}
	dir := s.path("mounts", extractionPrefix+model.NewID())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return -1, fmt.Errorf("cannot make mountpoint: %w", err)
	}
	defer func() { err = errors.Join(err, unmountAndRemove(dir)) }()
	if err := mount.All(mounts, dir); err != nil {
		return -1, fmt.Errorf("cannot mount the image's layers: %w", err)
	}
	return openDirectory(dir)
}

func openDirectory(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot open a tree: %w", err)
	}
	return fd, nil
}

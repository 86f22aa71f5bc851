package image

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"

	"github.com/spearheadcloud/spearhead/image/delta"
	"github.com/spearheadcloud/spearhead/model"
)

// rootDriver makes the writable trees of containers. All of its methods can be
// repeated, and a crash in any of them leaves either nothing or something that
// list tells of. Calls about one container come one after the other.
type rootDriver interface {
	// prepare makes a root over an image's layers; quota in bytes, 0 is none.
	prepare(ctx context.Context, container string, image held, quota int64) error
	// mount returns the directory where the root can be used.
	mount(ctx context.Context, container string, image held) (string, error)
	unmount(ctx context.Context, container string) error
	// remove unmounts and removes a root; a missing one is no error.
	remove(ctx context.Context, container string) error
	// tree returns the directory that tells what the container wrote, and
	// what it is. The root need not be mounted.
	tree(ctx context.Context, container string) (dir string, kind delta.Kind, err error)
	// size returns the bytes that the container wrote.
	size(ctx context.Context, container string) (int64, error)
	// list returns the image of each container that has a root.
	list(ctx context.Context) (map[string]string, error)
	// quota tells whether roots are held to theirs.
	quota() bool
}

func (s *Store) newRootDriver(ctx context.Context, cfg Config) (rootDriver, error) {
	if s.snapshotter == ZFS {
		return &cloneRoots{datasets: cfg.Datasets}, ensureDataset(ctx, cfg.Datasets, rootsDataset)
	}
	overlay := &overlayRoots{mounts: s.path("mounts"), options: s.overlayOptions(), uppers: &plainUppers{dirname: s.path("roots"), trash: s.path("trash")}}
	if cfg.Datasets != nil {
		uppers := &datasetUppers{datasets: cfg.Datasets}
		err := uppers.trial(ctx, s.path("mounts"))
		if err == nil {
			overlay.uppers = uppers
			return overlay, nil
		}
		s.log.Info("datasets cannot hold writable layers of an overlay; they go to the image directory, without quota", "op", "open images", "err", err)
	}
	return overlay, nil
}

var containerRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}$`)

func checkContainer(id string) error {
	if !containerRule.MatchString(id) {
		return model.Errorf(model.KindInvalid, "%.64q is no id of a container", id)
	}
	return nil
}

// PrepareRoot makes the root of a container from an image, held to quota bytes
// of its own where DiskQuota says so; 0 is no quota. Preparing it again is no
// error, unless from another image (KindConflict). KindNotFound if the node
// does not hold the image.
func (s *Store) PrepareRoot(ctx context.Context, containerID, imageID string, quota int64) error {
	if err := checkContainer(containerID); err != nil {
		return err
	}
	unlock, err := s.working.lock(ctx, rootKey(containerID))
	if err != nil {
		return err
	}
	defer unlock()
	h, err := s.hold(scoped(ctx), imageID)
	if err != nil {
		return err
	}
	existed, err := s.reserveRoot(containerID, imageID)
	if err != nil {
		return err
	}
	err = s.drive.prepare(ctx, containerID, h, quota)
	if err == nil || existed {
		return err
	}
	if undone := s.drive.remove(context.WithoutCancel(ctx), containerID); undone != nil {
		// It stays counted: RemoveRoot tries again.
		return errors.Join(err, undone)
	}
	s.forgetRoot(containerID)
	return err
}

func rootKey(containerID string) string { return "root " + containerID }

// reserveRoot counts a root as using its image before it is made, so that the
// image cannot go meanwhile.
func (s *Store) reserveRoot(containerID, imageID string) (existed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[imageID]; !ok {
		return false, noSuchImage(imageID)
	}
	other, existed := s.roots[containerID]
	if existed && other != imageID {
		return true, model.Errorf(model.KindConflict, "container %s has a root of another image", model.ShortID(containerID))
	}
	s.roots[containerID] = imageID
	return existed, nil
}

func (s *Store) forgetRoot(containerID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.roots, containerID)
}

// MountRoot mounts the root of a container and returns its directory. A root
// that is mounted stays as it is. KindNotFound if there is no such root.
func (s *Store) MountRoot(ctx context.Context, containerID string) (string, error) {
	if err := checkContainer(containerID); err != nil {
		return "", err
	}
	unlock, err := s.working.lock(ctx, rootKey(containerID))
	if err != nil {
		return "", err
	}
	defer unlock()
	s.mu.Lock()
	imageID, ok := s.roots[containerID]
	s.mu.Unlock()
	if !ok {
		return "", model.Errorf(model.KindNotFound, "container %s has no root on this node", model.ShortID(containerID))
	}
	h, err := s.hold(scoped(ctx), imageID)
	if err != nil {
		return "", err
	}
	return s.drive.mount(ctx, containerID, h)
}

// UnmountRoot undoes MountRoot; what was written stays. A root that is not
// mounted or does not exist is no error.
func (s *Store) UnmountRoot(ctx context.Context, containerID string) error {
	if err := checkContainer(containerID); err != nil {
		return err
	}
	unlock, err := s.working.lock(ctx, rootKey(containerID))
	if err != nil {
		return err
	}
	defer unlock()
	return s.drive.unmount(ctx, containerID)
}

// RemoveRoot unmounts and removes the root of a container with all that was
// written to it. A missing root is no error.
func (s *Store) RemoveRoot(ctx context.Context, containerID string) error {
	if err := checkContainer(containerID); err != nil {
		return err
	}
	unlock, err := s.working.lock(ctx, rootKey(containerID))
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.drive.remove(ctx, containerID); err != nil {
		return err
	}
	s.forgetRoot(containerID)
	return nil
}

// Roots lists the containers that have a root here, sorted.
func (s *Store) Roots(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.roots)), nil
}

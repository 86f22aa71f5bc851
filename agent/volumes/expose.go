package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Expose returns, for each of a container's mounts that is a volume, the path
// on the node that is to be bound into the container, by the mount's place in
// the list. A part of a volume is mounted below RunDir first, since its name
// may mean something else the next moment: Conceal undoes that. Both may be
// repeated.
func (s *Store) Expose(ctx context.Context, container string, mounts []model.Mount) (map[int]string, error) {
	paths := map[int]string{}
	for i, m := range mounts {
		if m.Type != model.MountVolume {
			continue
		}
		dir, err := s.keeper.dir(ctx, m.VolumeID)
		if err != nil {
			return nil, err
		}
		paths[i] = filepath.Join(dir, dataName)
		if m.Subpath == "" {
			continue
		}
		if paths[i], err = s.exposePart(container, i, paths[i], m.Subpath); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func (s *Store) partDir(container string) string { return filepath.Join(s.run, container) }

// exposePart mounts what is at subpath in a volume, links followed inside of
// the volume only.
func (s *Store) exposePart(container string, i int, data, subpath string) (string, error) {
	if !idRule.MatchString(container) {
		return "", model.Errorf(model.KindInvalid, "%.64q is no id of a container", container)
	}
	fd, err := openPart(data, subpath)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	place := filepath.Join(s.partDir(container), strconv.Itoa(i))
	// What an earlier start left mounted there is the volume's: it goes before
	// anything is made.
	if err := detach(place); err != nil {
		return "", err
	}
	if err := makePlace(place, fd); err != nil {
		return "", fmt.Errorf("cannot make a place for a part of a volume: %w", err)
	}
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return "", fmt.Errorf("cannot mount a part of a volume: %w", err)
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return "", fmt.Errorf("cannot mount a part of a volume: %w", err)
	}
	return place, nil
}

func openPart(data, subpath string) (int, error) {
	tree, err := tarfs.OpenTree(data)
	if err != nil {
		return -1, fmt.Errorf("cannot open a volume: %w", err)
	}
	defer tree.Close()
	fd, err := tree.Resolve(subpath)
	if errors.Is(err, unix.ENOTDIR) {
		fd, err = tree.Lookup(subpath)
	}
	if err != nil {
		return -1, model.WrapError(model.KindInvalid, err, "cannot access path %.200s in the volume: no such file or directory", subpath)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return -1, model.Errorf(model.KindInvalid, "cannot mount %.200s of the volume: it is neither a directory nor a file", subpath)
	}
	return fd, nil
}

// makePlace makes the file or directory that a part is mounted on. Nothing is
// mounted there.
func makePlace(place string, fd int) error {
	if err := os.MkdirAll(filepath.Dir(place), 0o711); err != nil {
		return err
	}
	if err := os.Remove(place); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return os.Mkdir(place, 0o711)
	}
	return os.WriteFile(place, nil, 0o600)
}

// Conceal undoes Expose. What the container's processes still see stays theirs.
func (s *Store) Conceal(container string) error {
	dir := s.partDir(container)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		place := filepath.Join(dir, entry.Name())
		if failed := detach(place); failed != nil {
			err = errors.Join(err, failed)
			continue // what is below would be the volume's
		}
		err = errors.Join(err, os.Remove(place))
	}
	if err == nil {
		err = os.Remove(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot let go of parts of volumes: %w", err)
	}
	return nil
}

// Exposed lists the containers that Expose has mounted something for.
func (s *Store) Exposed() ([]string, error) {
	entries, err := os.ReadDir(s.run)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		ids[i] = entry.Name()
	}
	return ids, err
}

// detach takes all mounts away from a place.
func detach(place string) error {
	for {
		err := unix.Unmount(place, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot unmount a part of a volume: %w", err)
		}
	}
}

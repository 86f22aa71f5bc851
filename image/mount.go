package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// makePrivate makes dir a mount of its own that passes nothing on to other
// mount namespaces: a mount that another namespace holds a copy of can stay
// busy long after it was given up here. It is done once and outlives the
// process, as the roots below it do.
func makePrivate(dir string) error {
	mounted, err := mountinfo.Mounted(dir)
	if err != nil {
		return fmt.Errorf("cannot look at mounts: %w", err)
	}
	if !mounted {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cannot make a mount for roots: %w", err)
		}
	}
	if err := unix.Mount("", dir, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make the mount for roots private: %w", err)
	}
	return nil
}

// Unmount undoes all mounts that a Store made below root, for an uninstall or
// the end of a rack. No Store may be open there, no container may run. A root
// that was never opened is no error.
func Unmount(root string) error {
	top := filepath.Join(filepath.Clean(root), "mounts")
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(top))
	if err != nil {
		return fmt.Errorf("cannot look at mounts: %w", err)
	}
	var failed []error
	for i := len(mounts) - 1; i >= 0; i-- { // what was mounted last goes first
		failed = append(failed, detach(mounts[i].Mountpoint))
	}
	return errors.Join(failed...)
}

// detach takes a mount away from its place. Who still uses it keeps it until
// they let go. A place where nothing is mounted is no error.
func detach(dir string) error {
	err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot unmount: %w", err)
	}
	return nil
}

func unmountAndRemove(dir string) error {
	if err := detach(dir); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove mountpoint: %w", err)
	}
	return nil
}

// lowerDirs returns the directories that the mounts of a View show, topmost
// first, and the options that an overlay over them needs besides.
func lowerDirs(mounts []mount.Mount) (dirs, options []string, err error) {
	if len(mounts) != 1 {
		return nil, nil, fmt.Errorf("cannot use layers: %d mounts", len(mounts))
	}
	m := mounts[0]
	if m.Type == "bind" {
		return []string{m.Source}, nil, nil
	}
	for _, option := range m.Options {
		if list, ok := strings.CutPrefix(option, "lowerdir="); ok {
			dirs = strings.Split(list, ":")
			continue
		}
		options = append(options, option)
	}
	if m.Type != "overlay" || len(dirs) == 0 {
		return nil, nil, fmt.Errorf("cannot use layers: mount of type %q", m.Type)
	}
	return dirs, options, nil
}

package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image/delta"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
)

// overlayRoots are roots that are overlay mounts: the image's layers, which
// all containers of the node share together with their page cache, and an upper
// directory of the container's own.
type overlayRoots struct {
	mounts  string   // directory of the mountpoints
	options []string // of each overlay mount
	uppers  upperStore
}

// upperStore keeps upper directories.
type upperStore interface {
	// make makes a directory that holds upper and work, marked with the id of
	// the image; the upper directory looks like the directory it lies over.
	make(ctx context.Context, container, imageID, over string, quota int64) error
	// dir returns the directory that make made.
	dir(ctx context.Context, container string) (string, error)
	remove(ctx context.Context, container string) error
	list(ctx context.Context) (map[string]string, error)
	quota() bool
}

func (o *overlayRoots) prepare(ctx context.Context, container string, image held, quota int64) error {
	return o.uppers.make(ctx, container, image.image.ID, image.lowers[0], quota)
}

func (o *overlayRoots) mountpoint(container string) string {
	return filepath.Join(o.mounts, container)
}

func (o *overlayRoots) mount(ctx context.Context, container string, image held) (string, error) {
	target := o.mountpoint(container)
	if mounted, err := isMounted(target); mounted || err != nil {
		return target, err
	}
	dir, err := o.uppers.dir(ctx, container)
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(target, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("cannot make mountpoint: %w", err)
	}
	m := overlayMount(dir, image.lowers, o.options)
	if err := m.Mount(target); err != nil {
		return "", fmt.Errorf("cannot mount root: %w", err)
	}
	return target, failpoint.Hit("image.root.mounted")
}

func overlayMount(dir string, lowers, options []string) mount.Mount {
	return mount.Mount{
		Type:   "overlay",
		Source: "overlay",
		Options: append([]string{
			"lowerdir=" + strings.Join(lowers, ":"),
			"upperdir=" + filepath.Join(dir, "upper"),
			"workdir=" + filepath.Join(dir, "work"),
		}, options...),
	}
}

// isMounted tells whether something is mounted on a directory of ours, which
// lies on its parent's file system if not.
func isMounted(dir string) (bool, error) {
	var at, above unix.Stat_t
	err := unix.Lstat(dir, &at)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err == nil {
		err = unix.Lstat(filepath.Dir(dir), &above)
	}
	if err != nil {
		return false, fmt.Errorf("cannot look at mountpoint: %w", err)
	}
	return at.Dev != above.Dev, nil
}

func (o *overlayRoots) unmount(_ context.Context, container string) error {
	return unmountAndRemove(o.mountpoint(container))
}

func (o *overlayRoots) remove(ctx context.Context, container string) error {
	if err := o.unmount(ctx, container); err != nil {
		return err
	}
	if err := failpoint.Hit("image.root.unmounted"); err != nil {
		return err
	}
	return o.uppers.remove(ctx, container)
}

func (o *overlayRoots) tree(ctx context.Context, container string) (string, delta.Kind, error) {
	dir, err := o.uppers.dir(ctx, container)
	return filepath.Join(dir, "upper"), delta.Upper, err
}

// size counts the files: what a dataset says has the work directory in it.
func (o *overlayRoots) size(ctx context.Context, container string) (int64, error) {
	dir, _, err := o.tree(ctx, container)
	if err != nil {
		return 0, err
	}
	fd, err := openDirectory(dir)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return delta.Size(ctx, fd)
}

func (o *overlayRoots) list(ctx context.Context) (map[string]string, error) {
	return o.uppers.list(ctx)
}

func (o *overlayRoots) quota() bool { return o.uppers.quota() }

// fillUpper makes upper and work in a new directory. An overlay shows owner
// and mode of the upper directory as those of its root, so they are copied.
func fillUpper(dir, over string) error {
	var st unix.Stat_t
	if err := unix.Stat(over, &st); err != nil {
		return fmt.Errorf("cannot look at the image's root: %w", err)
	}
	upper := filepath.Join(dir, "upper")
	for _, step := range []func() error{
		func() error { return unix.Mkdir(upper, 0o700) },
		func() error { return unix.Chown(upper, int(st.Uid), int(st.Gid)) },
		func() error { return unix.Chmod(upper, st.Mode&0o7777) },
		func() error { return unix.Mkdir(filepath.Join(dir, "work"), 0o700) },
	} {
		if err := step(); err != nil {
			return storageError("make a root", err)
		}
	}
	return nil
}

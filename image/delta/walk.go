package delta

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Kind tells what a container's tree is.
type Kind int

// The kinds of tree.
const (
	Upper Kind = iota // the upper directory of an overlay over the image's tree
	Clone             // a clone of the image's tree
)

// Change is one file that differs. Parent is the directory that holds it in
// the container's tree, valid during the visit, and Base its name there.
type Change struct {
	Path   string // from the root, with a leading slash
	Kind   model.FileChangeKind
	Parent int
	Base   string
}

// Walk visits all changes between the directories at the descriptors image and
// container. A directory comes before what is in it, and is modified also if
// only something in it is; all else is in the order of names. The root itself
// is not visited, nor is what the runtime made there to mount something on.
func Walk(ctx context.Context, image, container int, kind Kind, visit func(Change) error) error {
	w := &walker{ctx: ctx, kind: kind, visit: visit}
	return w.children("/", image, container, kind == Clone)
}

// mountpoints are what a runtime makes in a root that has no such files, for
// the mounts that each container has.
var mountpoints = map[string]bool{
	"/proc": true, "/sys": true, "/dev": true, "/.dockerenv": true,
	"/dev/console": true, "/dev/mqueue": true, "/dev/pts": true, "/dev/shm": true, "/sbin/docker-init": true,
	"/etc/hosts": true, "/etc/hostname": true, "/etc/resolv.conf": true,
}

// maxPath is the kernel's limit for one path, which also bounds how deep a
// tree is followed.
const maxPath = 4096

// none is the descriptor of a directory that is not there.
const none = -1

type walker struct {
	ctx   context.Context
	kind  Kind
	visit func(Change) error
	// above are the directories above the present one that were not visited
	// yet.
	above []Change
}

// children compares what is in two directories. whole says that what the
// container's has not was deleted; else it is the image's.
func (w *walker) children(dir string, image, container int, whole bool) error {
	if len(dir) > maxPath {
		return model.WrapError(model.KindInvalid, unix.ENAMETOOLONG, "the container has a path of more than %d bytes", maxPath)
	}
	list, err := tarfs.Names(container, ".")
	if err != nil {
		return err
	}
	names := make(map[string]bool, len(list))
	for _, name := range list {
		names[name] = true
	}
	if whole && image != none {
		list, err := tarfs.Names(image, ".")
		if err != nil {
			return err
		}
		for _, name := range list {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.child(dir, name, image, container, whole); err != nil {
			return err
		}
	}
	return nil
}

// child compares what two directories have under one name.
func (w *walker) child(dir, name string, image, container int, whole bool) error {
	change := Change{Path: path.Join(dir, name), Parent: container, Base: name}
	was, existed, err := stat(image, name)
	if err != nil {
		return err
	}
	fd, is, err := tarfs.Pin(container, name)
	if errors.Is(err, unix.ENOENT) {
		if existed && whole {
			return w.tell(change, model.FileDeleted)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	switch {
	case w.kind == Upper && isWhiteout(&is):
		if existed {
			return w.tell(change, model.FileDeleted)
		}
		return nil
	case !existed && isMountpoint(change.Path, fd, &is):
		return nil
	case !existed:
		return w.added(change, fd, &is, model.FileAdded)
	case isDir(&is) && isDir(&was):
		return w.both(change, image, fd, &was, &is, whole)
	case w.kind == Clone && untouched(&was, &is):
		return nil
	}
	return w.added(change, fd, &is, model.FileModified)
}

// added tells of something the image has nothing of, or something else.
func (w *walker) added(change Change, fd int, is *unix.Stat_t, kind model.FileChangeKind) error {
	if err := w.tell(change, kind); err != nil || !isDir(is) {
		return err
	}
	return w.children(change.Path, none, fd, false)
}

// both compares two directories.
func (w *walker) both(change Change, image, fd int, was, is *unix.Stat_t, whole bool) error {
	lower, err := unix.Openat(image, change.Base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(lower)
	if w.kind == Upper && !whole {
		if whole, err = isOpaque(fd); err != nil {
			return err
		}
	}
	change.Kind = model.FileModified
	w.above = append(w.above, change)
	depth := len(w.above)
	if differs(was, is) && (was.Mode != is.Mode || was.Uid != is.Uid || was.Gid != is.Gid || !holdsMountpoint(change.Path, lower, fd)) {
		if err := w.tellAbove(); err != nil {
			return err
		}
	}
	err = w.children(change.Path, lower, fd, whole)
	w.above = w.above[:depth-1]
	return err
}

// tell visits a change, after the directories above it.
func (w *walker) tell(change Change, kind model.FileChangeKind) error {
	if err := w.tellAbove(); err != nil {
		return err
	}
	change.Kind = kind
	return w.visit(change)
}

func (w *walker) tellAbove() error {
	for i, dir := range w.above {
		if dir.Path == "" { // told already
			continue
		}
		w.above[i].Path = ""
		if err := w.visit(dir); err != nil {
			return err
		}
	}
	return nil
}

func stat(dir int, name string) (st unix.Stat_t, exists bool, err error) {
	if dir == none {
		return st, false, nil
	}
	err = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return st, false, nil
	}
	return st, err == nil, err
}

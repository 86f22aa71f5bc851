package archive

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Mount is a tree of the node that a stopped container would see at Target.
type Mount struct {
	Source   string // absolute path on the node; a missing one is left out
	Target   string // in the container; made when missing
	ReadOnly bool
}

// view is a mount namespace that holds a container's tree with its mounts, and
// nothing else. It lasts as long as its descriptor, so a crash leaves nothing.
type view struct {
	namespace int
}

func (v *view) close() error { return unix.Close(v.namespace) }

// newView makes a view of the tree that fd is the top of, and returns the top
// of what it shows.
func newView(fd int, mounts []Mount) (*view, int, error) {
	trees, err := copyTrees(fd, mounts)
	defer func() {
		for _, t := range trees {
			unix.Close(t.fd)
		}
	}()
	if err != nil {
		return nil, -1, err
	}
	v, top := (*view)(nil), -1
	done := make(chan error)
	go func() {
		// The thread ends with the goroutine, for it is not unlocked: it can
		// never leave the namespace again.
		runtime.LockOSThread()
		var err error
		if v, top, err = enterView(trees[0].fd); err == nil {
			err = placeAll(top, trees[1:])
		}
		done <- err
	}()
	if err := <-done; err != nil {
		if v != nil {
			err = errors.Join(err, unix.Close(top), v.close())
		}
		return nil, -1, err
	}
	return v, top, nil
}

// detached is a copy of a mount that is nowhere yet.
type detached struct {
	fd     int
	target string
	isDir  bool
}

// copyTrees copies the mount of the root, and then what is to be mounted in
// it, parents first.
func copyTrees(root int, mounts []Mount) ([]detached, error) {
	fd, err := unix.OpenTree(root, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, fmt.Errorf("cannot copy the mount of the container's root: %w", err)
	}
	trees := []detached{{fd: fd, target: "/", isDir: true}}
	mounts = slices.Clone(mounts)
	slices.SortStableFunc(mounts, func(a, b Mount) int {
		depth := func(m Mount) int { return strings.Count(path.Clean(m.Target), "/") }
		return cmp.Compare(depth(a), depth(b))
	})
	for _, m := range mounts {
		t, err := copyMount(m)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return trees, fmt.Errorf("cannot copy what is mounted at %s: %w", m.Target, err)
		}
		trees = append(trees, t)
	}
	return trees, nil
}

func copyMount(m Mount) (detached, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return detached{}, err
	}
	// What happens to the copy must not reach the original's peers.
	attributes := unix.MountAttr{Propagation: unix.MS_PRIVATE}
	if m.ReadOnly {
		attributes.Attr_set = unix.MOUNT_ATTR_RDONLY
	}
	var st unix.Stat_t
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attributes)
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err != nil {
		return detached{}, errors.Join(err, unix.Close(fd))
	}
	return detached{fd: fd, target: path.Clean("/" + m.Target), isDir: st.Mode&unix.S_IFMT == unix.S_IFDIR}, nil
}

// enterView moves the calling thread to a new namespace that holds the root
// alone. Only from there can anything be mounted in it.
func enterView(root int) (v *view, top int, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, -1, fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	namespace, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("cannot open a mount namespace: %w", err)
	}
	for _, step := range []func() error{
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.MoveMount(root, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH) },
		func() error { return unix.Fchdir(root) },
		// The old root comes to lie on the new one, and is taken away.
		func() error { return unix.PivotRoot(".", ".") },
		func() error { return unix.Unmount(".", unix.MNT_DETACH) },
		func() error {
			top, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return err
		},
	} {
		if err := step(); err != nil {
			return nil, -1, errors.Join(fmt.Errorf("cannot change to the container's root: %w", err), unix.Close(namespace))
		}
	}
	return &view{namespace: namespace}, top, nil
}

func placeAll(top int, trees []detached) error {
	fd, err := unix.FcntlInt(uintptr(top), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	tree := tarfs.NewTree(fd)
	defer tree.Close()
	for _, t := range trees {
		if err := place(tree, t); err != nil {
			return model.WrapError(model.KindConflict, err, "cannot show what is mounted at %s: the container's files are in the way", t.target)
		}
	}
	return nil
}

// place puts a mount where it belongs, links followed inside of the tree.
func place(tree *tarfs.Tree, t detached) error {
	target, err := tree.Place(t.target, t.isDir)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return unix.MoveMount(t.fd, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

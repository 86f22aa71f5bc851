package archive

import (
	"errors"
	"fmt"
	"os"
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
	type made struct {
		view *view
		top  int
		err  error
	}
	done := make(chan made)
	go func() {
		// The thread keeps the namespace it gets; it ends with the goroutine.
		runtime.LockOSThread()
		var m made
		m.view, m.top, m.err = makeView(fd, mounts)
		done <- m
	}()
	m := <-done
	if m.err != nil {
		return nil, -1, describeMount(m.err)
	}
	return m.view, m.top, nil
}

func describeMount(err error) error {
	var typed *model.Error
	if errors.As(err, &typed) {
		return err
	}
	return fmt.Errorf("cannot show the container's mounts: %w", err)
}

// makeView changes the thread it runs on for ever.
func makeView(fd int, mounts []Mount) (*view, int, error) {
	// The tree as a mount of its own, made here: a mount that is reached by
	// a descriptor of another namespace cannot be bound.
	top, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, -1, fmt.Errorf("cannot copy the root's mount: %w", err)
	}
	defer unix.Close(top)
	sources, err := openSources(mounts)
	defer closeSources(sources)
	if err != nil {
		return nil, -1, err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, -1, fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, -1, fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := enter(top); err != nil {
		return nil, -1, err
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	if err := placeAll(root, sources); err != nil {
		unix.Close(root)
		return nil, -1, err
	}
	return &view{namespace: sources.namespace}, root, nil
}

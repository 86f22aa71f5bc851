package unpack

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is a directory tree that names cannot lead out of.
type tree struct {
	root int // descriptor of the top directory
	// The directory that was asked for last: archives list what is in one
	// directory together.
	lastName string
	last     int
}

func openTree(root string) (*tree, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the tree to unpack into: %w", err)
	}
	return &tree{root: fd, last: -1}, nil
}

func (t *tree) close() {
	t.forget()
	unix.Close(t.root)
}

// forget drops the remembered directory. It has to be called when something
// was removed from the tree, as a name may then mean another directory.
func (t *tree) forget() {
	if t.last >= 0 {
		unix.Close(t.last)
		t.last, t.lastName = -1, ""
	}
}

// resolve opens a directory, links followed inside of the tree.
func (t *tree) resolve(name string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(t.root, name, &how)
		// The kernel gives up with EAGAIN when something else is renamed on
		// the machine at that moment.
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// parent returns a descriptor of a directory, which is made if it is missing.
// It is valid until the next call or forget.
func (t *tree) parent(dir string) (int, error) {
	dir = strings.Trim(dir, "/")
	if dir == "" {
		return t.root, nil
	}
	if t.last >= 0 && t.lastName == dir {
		return t.last, nil
	}
	fd, err := t.resolve(dir)
	if errors.Is(err, unix.ENOENT) {
		fd, err = t.makeAll(dir)
	}
	if err != nil {
		return -1, err
	}
	t.forget()
	t.last, t.lastName = fd, dir
	return fd, nil
}

// makeAll makes the missing directories of a name. A dangling link on the way
// is an error, as nothing can be made at the place where it points to.
func (t *tree) makeAll(dir string) (int, error) {
	parts := strings.Split(dir, "/")
	at := t.root
	for i, part := range parts {
		fd, err := t.resolve(strings.Join(parts[:i+1], "/"))
		if errors.Is(err, unix.ENOENT) {
			if err = mkdir(at, part, 0o755); err == nil {
				fd, err = t.resolve(strings.Join(parts[:i+1], "/"))
			}
		}
		if at != t.root {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at = fd
	}
	return at, nil
}

// mkdir makes a directory whose mode the umask does not touch.
func mkdir(parent int, name string, mode uint32) error {
	if err := unix.Mkdirat(parent, name, mode); err != nil {
		return err
	}
	return unix.Fchmodat(parent, name, mode, 0)
}

// removeAll removes what a directory holds under one name, links not followed.
// A missing name is no error.
func (t *tree) removeAll(parent int, name string) error {
	defer t.forget()
	err := unix.Unlinkat(parent, name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", parent))
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(name)
}

// names lists a directory below parent, links not followed.
func names(parent int, name string) ([]string, error) {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	return dir.Readdirnames(-1)
}

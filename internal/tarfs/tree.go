package tarfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Tree is a directory tree that names cannot lead out of. Names are divided by
// slashes and relative to its top, also where they begin with a slash. It may
// not be used by several goroutines at once.
type Tree struct {
	// OneMount refuses to go where something else is mounted.
	OneMount bool
	// NoKernels refuses to resolve a directory of a file system that the
	// kernel makes up: see IsKernels.
	NoKernels bool

	top int
	// The directory that was asked for last: archives list what is in one
	// directory together.
	lastName string
	last     int
}

// OpenTree opens the tree below a directory of the node.
func OpenTree(dir string) (*Tree, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Tree{top: fd, last: -1}, nil
}

// NewTree returns the tree below an open directory. The descriptor is the
// tree's from then on.
func NewTree(top int) *Tree { return &Tree{top: top, last: -1} }

// Close gives the tree's descriptors back.
func (t *Tree) Close() {
	t.Forget()
	unix.Close(t.top)
}

// Top is the descriptor of the tree's top directory.
func (t *Tree) Top() int { return t.top }

// Forget drops the remembered directory. It has to be called when something
// was removed from the tree, as a name may then mean another directory.
func (t *Tree) Forget() {
	if t.last >= 0 {
		unix.Close(t.last)
		t.last, t.lastName = -1, ""
	}
}

// Resolve opens a directory (O_PATH), links followed inside of the tree. The
// caller closes it.
func (t *Tree) Resolve(name string) (int, error) {
	fd, err := t.open(name, unix.O_DIRECTORY)
	if err != nil || !t.NoKernels {
		return fd, err
	}
	hidden, err := IsKernels(fd)
	if err == nil && hidden {
		err = unix.EPERM
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Lookup opens whatever has a name (O_PATH), a link in the last part not
// followed. The caller closes it.
func (t *Tree) Lookup(name string) (int, error) {
	return t.open(name, unix.O_NOFOLLOW)
}

func (t *Tree) open(name string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC | flags,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if t.OneMount {
		how.Resolve |= unix.RESOLVE_NO_XDEV
	}
	if name = strings.TrimLeft(name, "/"); name == "" {
		name = "."
	}
	for try := 1; ; try++ {
		fd, err := unix.Openat2(t.top, name, &how)
		// The kernel gives up with EAGAIN when something else is renamed on
		// the machine at that moment. Who does nothing else must not hold us up.
		if try == maxTries || !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

const maxTries = 100_000

// Parent returns a descriptor of a directory, which is made if it is missing.
// It is valid until the next call or Forget.
func (t *Tree) Parent(dir string) (int, error) {
	dir = strings.Trim(dir, "/")
	if dir == "" {
		return t.top, nil
	}
	if t.last >= 0 && t.lastName == dir {
		return t.last, nil
	}
	fd, err := t.Resolve(dir)
	if errors.Is(err, unix.ENOENT) {
		fd, err = t.makeAll(dir)
	}
	if err != nil {
		return -1, err
	}
	t.Forget()
	t.last, t.lastName = fd, dir
	return fd, nil
}

// Place opens what is at a name (O_PATH), links followed inside of the tree,
// for something to be mounted there: a directory or a file, which is made if it
// is missing. The caller closes it.
func (t *Tree) Place(name string, isDir bool) (int, error) {
	if isDir {
		dir, err := t.Parent(name)
		if err != nil {
			return -1, err
		}
		return unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	}
	fd, err := t.open(name, 0)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	dir, base := path.Split(name)
	parent, err := t.Parent(dir)
	if err != nil {
		return -1, err
	}
	made, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return -1, err
	}
	defer unix.Close(made)
	return unix.Openat(parent, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// makeAll makes the missing directories of a name. A dangling link on the way
// is an error, as nothing can be made at the place where it points to.
func (t *Tree) makeAll(dir string) (int, error) {
	if len(dir) >= maxName { // not even the kernel could open it afterwards
		return -1, unix.ENAMETOOLONG
	}
	parts := strings.Split(dir, "/")
	at, missing := t.top, false
	for i, part := range parts {
		next, err := -1, error(nil)
		if !missing {
			next, err = t.Resolve(strings.Join(parts[:i+1], "/"))
			missing = errors.Is(err, unix.ENOENT)
		}
		if missing {
			next, err = mkdir(at, part, 0o755)
		}
		if at != t.top {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at = next
	}
	return at, nil
}

// mkdir makes a directory, whose mode the umask does not touch, and opens it.
func mkdir(parent int, name string, mode uint32) (int, error) {
	if err := unix.Mkdirat(parent, name, 0o700); err != nil {
		return -1, err
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// RemoveAll removes what a directory holds under one name, links not followed.
// A missing name is no error.
func (t *Tree) RemoveAll(parent int, name string) error {
	defer t.Forget()
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

// Names lists a directory below parent, links not followed, in no order.
func Names(parent int, name string) ([]string, error) {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	return dir.Readdirnames(-1)
}

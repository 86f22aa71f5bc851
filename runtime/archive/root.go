package archive

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Root is the file tree of one container. Its methods may be called at the
// same time; all of them must have ended before Close.
type Root struct {
	id       string
	fd       int
	view     *view // nil where the tree is seen as it is
	readOnly bool  // the container's own tree, though it could be written to
}

// OpenRunning opens the root of a running container as its processes see it,
// mounts included. pid is its first process; id, which is in the names of its
// cgroups, proves that pid is still that process. KindConflict if it is not.
func OpenRunning(pid int, id string) (*Root, error) {
	// What is reached through the descriptor is this process, or nothing.
	process, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, notRunning(id)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the container's process: %w", err)
	}
	defer unix.Close(process)
	fd, err := unix.Openat(process, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil && !inCgroup(process, id) {
		err = errors.Join(unix.ESRCH, unix.Close(fd))
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil, notRunning(id)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the container's root: %w", err)
	}
	return &Root{id: id, fd: fd}, nil
}

func notRunning(id string) error {
	return model.Errorf(model.KindConflict, "container %s is not running", id)
}

// inCgroup tells whether a process is in a cgroup with id in its name. The
// kernel says it as the node sees it, whatever namespace the process is in.
func inCgroup(process int, id string) bool {
	fd, err := unix.Openat(process, "cgroup", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	file := os.NewFile(uintptr(fd), "cgroup")
	defer file.Close()
	var content bytes.Buffer
	_, err = content.ReadFrom(file)
	return err == nil && id != "" && bytes.Contains(content.Bytes(), []byte("/"+id))
}

// OpenStopped opens the tree below dir, where the root of the container id,
// which does not run, is mounted, with mounts on top. readOnly refuses to write
// to it, but for the mounts.
func OpenStopped(id, dir string, mounts []Mount, readOnly bool) (*Root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the container's root: %w", err)
	}
	if len(mounts) == 0 {
		return &Root{id: id, fd: fd, readOnly: readOnly}, nil
	}
	defer unix.Close(fd)
	v, top, err := newView(fd, mounts)
	if err != nil {
		return nil, err
	}
	return &Root{id: id, fd: top, view: v, readOnly: readOnly}, nil
}

// Close gives the root back.
func (r *Root) Close() error {
	err := unix.Close(r.fd)
	if r.view != nil {
		err = errors.Join(err, r.view.close())
	}
	return err
}

// Dir returns the top directory (O_PATH), for those who look something up in
// the tree by descriptor. The caller closes it.
func (r *Root) Dir() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(r.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/"), nil
}

// tree returns the tree for one call.
func (r *Root) tree() (*tarfs.Tree, error) {
	fd, err := unix.FcntlInt(uintptr(r.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	t := tarfs.NewTree(fd)
	t.NoKernels = true
	return t, nil
}

// checkPath refuses what cannot be a path.
func checkPath(p string) error {
	if p == "" {
		return model.Errorf(model.KindInvalid, "bad parameter: path cannot be empty")
	}
	if strings.ContainsRune(p, 0) {
		return model.Errorf(model.KindInvalid, "bad parameter: a path cannot hold a zero byte")
	}
	return nil
}

// absolute cleans a path without losing what its end says: a slash, or a slash
// and a dot, follow a link in the last part.
func absolute(p string) string {
	clean := path.Clean("/" + p)
	switch {
	case clean == "/":
		return clean
	case strings.HasSuffix(p, "/."):
		return clean + "/."
	case strings.HasSuffix(p, "/"):
		return clean + "/"
	}
	return clean
}

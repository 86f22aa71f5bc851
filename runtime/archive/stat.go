package archive

import (
	"io/fs"
	"os"
	"path"
	"time"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Stat describes a file. The path's last part is not followed if it is a link,
// unless a slash or a dot comes after it.
func (r *Root) Stat(p string) (model.PathStat, error) {
	f, err := r.find(p)
	if err != nil {
		return model.PathStat{}, err
	}
	defer f.close()
	return f.describe()
}

// found is a file that was looked up and is held on to.
type found struct {
	path string // absolute, clean but for what its end says
	tree *tarfs.Tree
	fd   int // O_PATH
	st   unix.Stat_t
}

func (f *found) close() {
	unix.Close(f.fd)
	f.tree.Close()
}

func (f *found) isDir() bool { return f.st.Mode&unix.S_IFMT == unix.S_IFDIR }

// find looks a path up without following its last part.
func (r *Root) find(p string) (*found, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	tree, err := r.tree()
	if err != nil {
		return nil, err
	}
	f := &found{path: absolute(p), tree: tree}
	if f.fd, err = tree.Lookup(f.path); err != nil {
		tree.Close()
		return nil, r.pathError(p, err)
	}
	err = unix.Fstat(f.fd, &f.st)
	if err == nil && !f.isDir() {
		// Files of the kernel's file systems are none of the container's.
		var hidden bool
		if hidden, err = tarfs.IsKernels(f.fd); err == nil && hidden {
			err = unix.ENOENT
		}
	}
	if err != nil {
		f.close()
		return nil, r.pathError(p, err)
	}
	return f, nil
}

func (f *found) describe() (model.PathStat, error) {
	s := model.PathStat{
		Name: path.Base(f.path), Size: f.st.Size, Mode: fileMode(f.st.Mode), Mtime: time.Unix(f.st.Mtim.Unix()),
	}
	if s.Mode&fs.ModeSymlink != 0 {
		// Nobody opens what this says: it is the client that may ask for it.
		target, err := securejoin.SecureJoinVFS("/", f.path, names{f.tree})
		if err != nil {
			return s, model.WrapError(model.KindInvalid, err, "too many levels of symbolic links: %.256s", f.path)
		}
		s.LinkTarget = target
	}
	return s, nil
}

// names lets links be followed part by part.
type names struct{ tree *tarfs.Tree }

// Lstat implements securejoin.VFS.
func (n names) Lstat(name string) (os.FileInfo, error) {
	fd, err := n.tree.Lookup(name)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	return file.Stat()
}

// Readlink implements securejoin.VFS.
func (n names) Readlink(name string) (string, error) {
	fd, err := n.tree.Lookup(name)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return tarfs.ReadLink(fd)
}

// fileMode turns the kernel's mode bits into Go's, which Docker's API uses.
func fileMode(mode uint32) fs.FileMode {
	out := fs.FileMode(mode & 0o777)
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		out |= fs.ModeDir
	case unix.S_IFLNK:
		out |= fs.ModeSymlink
	case unix.S_IFCHR:
		out |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		out |= fs.ModeDevice
	case unix.S_IFIFO:
		out |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		out |= fs.ModeSocket
	}
	for bit, flag := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if mode&bit != 0 {
			out |= flag
		}
	}
	return out
}

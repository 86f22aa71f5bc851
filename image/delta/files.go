package delta

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
)

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// isWhiteout tells whether a file of an upper directory says that the lower
// ones' is deleted.
func isWhiteout(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// isOpaque tells whether a directory of an upper directory hides what the
// lower ones have there.
func isOpaque(fd int) (bool, error) {
	var value [8]byte
	n, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", fd), "trusted.overlay.opaque", value[:])
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return false, nil
	}
	return err == nil && string(value[:n]) == "y", err
}

// untouched tells whether a file of a clone is the one that was cloned. A change
// of any sort sets the time of the last one, which no program can choose; the
// rest is for file systems that know it in whole seconds only.
func untouched(was, is *unix.Stat_t) bool {
	return was.Ino == is.Ino && was.Ctim == is.Ctim && was.Mtim == is.Mtim && was.Size == is.Size &&
		was.Mode == is.Mode && was.Uid == is.Uid && was.Gid == is.Gid && was.Rdev == is.Rdev
}

// differs tells whether a directory is not as the image has it.
func differs(was, is *unix.Stat_t) bool {
	return was.Mode != is.Mode || was.Uid != is.Uid || was.Gid != is.Gid || was.Mtim != is.Mtim
}

// isMountpoint tells whether a file that the image has not is there for the
// runtime to mount something on.
func isMountpoint(name string, fd int, st *unix.Stat_t) bool {
	if !mountpoints[name] {
		return false
	}
	if !isDir(st) {
		return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0
	}
	names, err := tarfs.Names(fd, ".")
	for _, child := range names {
		if !mountpoints[path.Join(name, child)] {
			return false
		}
	}
	return err == nil
}

// holdsMountpoint tells whether the runtime made a file in a directory, and
// with that changed its time.
func holdsMountpoint(dir string, image, container int) bool {
	for name := range mountpoints {
		if path.Dir(name) != dir {
			continue
		}
		if _, existed, err := stat(image, path.Base(name)); existed || err != nil {
			continue
		}
		fd, st, err := tarfs.Pin(container, path.Base(name))
		if err != nil {
			continue
		}
		made := isMountpoint(name, fd, &st)
		unix.Close(fd)
		if made {
			return true
		}
	}
	return false
}

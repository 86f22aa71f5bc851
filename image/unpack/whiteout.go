package unpack

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
)

// Names with a meaning, from the OCI image layer specification.
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// whiteout removes what lower layers put at a name, or, for the opaque marker,
// into a directory. What this layer made stays: the order of entries has no
// meaning for it.
func (u *unpacker) whiteout(dir, base string) error {
	if strings.HasPrefix(base, whiteoutMeta) && base != whiteoutOpaque {
		return nil // bookkeeping of aufs
	}
	parent, err := u.lowerParent(dir)
	if err != nil || parent < 0 {
		return err
	}
	if base == whiteoutOpaque {
		return u.prune(dir)
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return refuse("it removes %q, which is no name", name)
	}
	return u.remove(dir, parent, name)
}

// lowerParent finds the directory that a whiteout works in; -1 if there is
// none, and then there is nothing to remove.
func (u *unpacker) lowerParent(dir string) (int, error) {
	fd, err := u.tree.Resolve(dir)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	unix.Close(fd)
	return u.tree.Parent(dir)
}

// prune removes from a directory what lower layers put there.
func (u *unpacker) prune(dir string) error {
	parent, err := u.tree.Parent(dir)
	if err != nil {
		return err
	}
	children, err := tarfs.Names(parent, ".")
	if err != nil {
		return err
	}
	for _, name := range children {
		if parent, err = u.tree.Parent(dir); err != nil {
			return err
		}
		if err := u.remove(dir, parent, name); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a name, or, where this layer made it or something in it, what
// lower layers have there.
func (u *unpacker) remove(dir string, parent int, name string) error {
	full := path.Join("/", dir, name)
	if _, ours := u.written[full]; !ours {
		return u.tree.RemoveAll(parent, name)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return u.prune(full)
}

// wrote notes that this layer made a name, and with it the directories above.
func (u *unpacker) wrote(name string) {
	for {
		if _, known := u.written[name]; known {
			return
		}
		u.written[name] = struct{}{}
		if name == "/" {
			return
		}
		name = path.Dir(name)
	}
}

package treesync

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
)

// freshness is how long before a list begins a file must have been changed for
// its version to count: times are those of the kernel's last tick.
const freshness = time.Second

// Listing says how to list a tree.
type Listing struct {
	// Skip leaves out what it names at the top; nil leaves out nothing.
	Skip func(name string) bool
	// Still says that no program has files of the tree open or mapped any more.
	// Then nothing has to be written out first, for which a list else waits:
	// what was changed by a mapping got its time when it was.
	Still bool
}

// List writes the list of all files below dir. What vanishes meanwhile is left
// out.
func List(ctx context.Context, dir string, how Listing, w io.Writer) error {
	top, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot list a tree: %w", err)
	}
	defer unix.Close(top)
	settled := time.Now().Add(-freshness)
	if !how.Still {
		if err := unix.Syncfs(top); err != nil {
			return fmt.Errorf("cannot list a tree: %w", err)
		}
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	l := &lister{ctx: ctx, settled: settled, skip: how.Skip, out: json.NewEncoder(buffered)}
	var st unix.Stat_t
	if err := unix.Fstat(top, &st); err != nil {
		return fmt.Errorf("cannot list a tree: %w", err)
	}
	if err := l.directory(top, &st, ""); err != nil {
		return fmt.Errorf("cannot list a tree: %w", err)
	}
	if err := l.out.Encode(entry{End: true}); err != nil {
		return err
	}
	return buffered.Flush()
}

type lister struct {
	ctx     context.Context
	settled time.Time // what was changed later has no version
	skip    func(name string) bool
	out     *json.Encoder
}

// directory tells of an open directory and all that is below it.
func (l *lister) directory(fd int, st *unix.Stat_t, name string) error {
	if err := l.tell(fd, st, name); err != nil {
		return err
	}
	names, err := tarfs.Names(fd, ".")
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, base := range names {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		child := base
		if name != "" {
			child = name + "/" + base
		} else if l.skip != nil && l.skip(base) {
			continue
		}
		if len(child) > maxPath {
			return fmt.Errorf("a path has more than %d bytes: %w", maxPath, unix.ENAMETOOLONG)
		}
		if err := l.child(fd, base, child); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
			return err
		}
	}
	return nil
}

func (l *lister) child(parent int, base, name string) error {
	fd, st, err := tarfs.Pin(parent, base)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return l.tell(fd, &st, name)
	}
	dir, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return l.directory(dir, &st, name)
}

// tell writes the entry of what is open, O_PATH or not.
func (l *lister) tell(fd int, st *unix.Stat_t, name string) error {
	e := entry{
		Path: []byte(name), Mode: st.Mode, UID: st.Uid, GID: st.Gid,
		Modified: [2]int64{st.Mtim.Sec, st.Mtim.Nsec},
	}
	if time.Unix(st.Ctim.Unix()).Before(l.settled) {
		e.Version = versionOf(st)
	}
	switch e.kind() {
	case unix.S_IFREG:
		e.Size = st.Size
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Device = st.Rdev
	case unix.S_IFLNK:
		target, err := tarfs.ReadLink(fd)
		if err != nil {
			return err
		}
		e.Target = []byte(target)
	}
	if st.Nlink > 1 && e.kind() != unix.S_IFDIR {
		e.Inode = st.Ino
	}
	if e.kind() != unix.S_IFLNK {
		var err error
		if e.Attributes, err = attributes(fd); err != nil {
			return err
		}
	}
	return l.out.Encode(e)
}

// versionOf tells a file, as it is, from any other one and from what it was.
func versionOf(st *unix.Stat_t) string {
	return strconv.FormatUint(st.Ino, 36) + ":" + strconv.FormatInt(st.Ctim.Sec, 36) + ":" + strconv.FormatInt(st.Ctim.Nsec, 36)
}

// wanted lets those attributes pass that mean the same on another machine.
// Those of overlays that are left out name inodes of this one; an overlay
// does without them.
func wanted(key string) bool {
	switch strings.TrimPrefix(key, "trusted.overlay.") {
	case "origin", "impure", "nlink", "upper", "uuid":
		return false
	}
	for _, prefix := range []string{"user.", "trusted.", "security.", "system.posix_acl_"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// attributes reads the wanted extended attributes of what is open.
func attributes(fd int) (map[string][]byte, error) {
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	list, err := attribute(func(buffer []byte) (int, error) { return unix.Listxattr(self, buffer) })
	if err != nil || len(list) == 0 {
		return nil, err
	}
	all := map[string][]byte{}
	for key := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		if !wanted(key) {
			continue
		}
		value, err := attribute(func(buffer []byte) (int, error) { return unix.Getxattr(self, key, buffer) })
		if err != nil {
			return nil, err
		}
		all[key] = value
	}
	return all, nil
}

// attribute reads something of a size that is not known before. What cannot
// be had has none.
func attribute(read func([]byte) (int, error)) ([]byte, error) {
	buffer := make([]byte, 256)
	for {
		n, err := read(buffer)
		switch {
		case errors.Is(err, unix.ERANGE) && len(buffer) < 64<<10:
			buffer = make([]byte, 64<<10)
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOENT):
			return nil, nil
		case err != nil:
			return nil, err
		default:
			return buffer[:n], nil
		}
	}
}

package tarfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MaxID is the highest user or group id; the one above it means "no change".
const MaxID = 1<<32 - 2

// An ArchiveError is the archive's fault: it asks for what cannot be.
type ArchiveError struct{ text string }

func (e *ArchiveError) Error() string { return e.text }

func fault(format string, args ...any) error {
	return &ArchiveError{fmt.Sprintf(format, args...)}
}

// A StreamError is one of reading the archive, not of writing files.
type StreamError struct{ Err error }

func (e *StreamError) Error() string { return e.Err.Error() }

// Unwrap returns what the archive's reader said.
func (e *StreamError) Unwrap() error { return e.Err }

// Maker makes the files of an archive in a tree. It may not be used by several
// goroutines at once.
type Maker struct {
	Tree *Tree
	// LinkTarget turns the target of a hard link, as the archive has it, into
	// a name of the tree; nil takes it from the tree's top.
	LinkTarget func(string) (string, error)

	buffer []byte
	// directories get their times at the end, when nothing is made in them
	// any more.
	directories []directoryTime
}

type directoryTime struct {
	name  string
	times [2]unix.Timespec
}

// Clear makes room for a file: what is there already goes, but for a directory
// that stays one.
func (m *Maker) Clear(parent int, base string, header *tar.Header) error {
	var st unix.Stat_t
	err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if header.Typeflag == tar.TypeDir && isDir(&st) {
		return nil
	}
	return m.Tree.RemoveAll(parent, base)
}

// Make makes what header describes at base in the directory dir of the tree,
// where nothing is, or a directory that is to be one.
func (m *Maker) Make(ctx context.Context, dir, base string, header *tar.Header, content io.Reader) error {
	parent, err := m.Tree.Parent(dir)
	if err != nil {
		return err
	}
	mode := uint32(header.Mode & 0o7777)
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return m.file(ctx, parent, base, header, content)
	case tar.TypeDir:
		if err = unix.Mkdirat(parent, base, 0o700); errors.Is(err, unix.EEXIST) {
			err = nil
		}
		m.directories = append(m.directories, directoryTime{path.Join("/", dir, base), times(header)})
	case tar.TypeSymlink:
		if err := unix.Symlinkat(header.Linkname, parent, base); err != nil {
			return err
		}
		return decorateLink(parent, base, header)
	case tar.TypeLink:
		return m.hardLink(parent, base, header.Linkname)
	case tar.TypeFifo:
		err = unix.Mknodat(parent, base, unix.S_IFIFO|mode, 0)
	case tar.TypeChar, tar.TypeBlock:
		err = device(parent, base, header, mode)
	default:
		return fault("%.128q has a type (%q) that no file can have", header.Name, header.Typeflag)
	}
	if err != nil {
		return err
	}
	return Decorate(parent, base, header)
}

// Finish sets the times of the directories, in the order of the archive.
func (m *Maker) Finish() error {
	for _, d := range m.directories {
		dir, base := path.Split(d.name)
		if base == "" {
			base = "."
		}
		parent, err := m.Tree.Resolve(dir)
		if err == nil {
			err = unix.UtimesNanoAt(parent, base, d.times[:], unix.AT_SYMLINK_NOFOLLOW)
			unix.Close(parent)
		}
		// It may have been removed again.
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return fmt.Errorf("cannot set times of a directory: %w", err)
		}
	}
	return nil
}

// Top gives the tree's top directory what header says.
func (m *Maker) Top(header *tar.Header) error {
	m.directories = append(m.directories, directoryTime{"/", times(header)})
	return Decorate(m.Tree.Top(), ".", header)
}

func device(parent int, base string, header *tar.Header, mode uint32) error {
	if header.Devmajor < 0 || header.Devmajor > 0xfff || header.Devminor < 0 || header.Devminor > 0xfffff {
		return fault("%.128q has a device number that does not exist", header.Name)
	}
	kind := uint32(unix.S_IFCHR)
	if header.Typeflag == tar.TypeBlock {
		kind = unix.S_IFBLK
	}
	return unix.Mknodat(parent, base, kind|mode, int(unix.Mkdev(uint32(header.Devmajor), uint32(header.Devminor))))
}

func (m *Maker) file(ctx context.Context, parent int, base string, header *tar.Header, content io.Reader) error {
	fd, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), base)
	err = m.fill(ctx, file, content)
	if err == nil {
		err = decorate(fd, header)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// hardLink links to another name of the tree. The name's last part is not
// followed: a link to a symbolic link is one more name of that link.
func (m *Maker) hardLink(parent int, base, target string) error {
	if m.LinkTarget != nil {
		var err error
		if target, err = m.LinkTarget(target); err != nil {
			return err
		}
	}
	dir, name := path.Split(path.Clean("/" + target))
	if name == "" {
		return fault("it links %.128q to the root", base)
	}
	from, err := m.Tree.Resolve(dir)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	return unix.Linkat(from, name, parent, base, 0)
}

// Decorate gives what is at base, which is no symbolic link, owner, mode,
// attributes and times.
func Decorate(parent int, base string, header *tar.Header) error {
	fd, err := unix.Openat(parent, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK { // somebody exchanged it
		return unix.ELOOP
	}
	return decorate(fd, header)
}

// decorate works on any descriptor, O_PATH too: /proc leads from it to what was
// opened, whatever has its name by now. The order matters: a change of owner
// clears setuid bits and capabilities.
func decorate(fd int, header *tar.Header) error {
	if err := unix.Fchownat(fd, "", header.Uid, header.Gid, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := unix.Chmod(self, uint32(header.Mode&0o7777)); err != nil {
		return err
	}
	for record, value := range header.PAXRecords {
		key, ok := strings.CutPrefix(record, AttributeRecord)
		if !ok || !wantedAttribute(key) {
			continue
		}
		err := unix.Setxattr(self, key, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	stamps := times(header)
	return unix.UtimesNanoAt(unix.AT_FDCWD, self, stamps[:], 0)
}

func decorateLink(parent int, base string, header *tar.Header) error {
	if err := unix.Fchownat(parent, base, header.Uid, header.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	stamps := times(header)
	return unix.UtimesNanoAt(parent, base, stamps[:], unix.AT_SYMLINK_NOFOLLOW)
}

func times(header *tar.Header) [2]unix.Timespec {
	modified := timespec(header.ModTime)
	accessed := modified
	if !header.AccessTime.IsZero() {
		accessed = timespec(header.AccessTime)
	}
	return [2]unix.Timespec{accessed, modified}
}

func timespec(t time.Time) unix.Timespec {
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

package tarfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Packer writes files of a tree to an archive. It may not be used by several
// goroutines at once.
//
// Times are in whole seconds, as Docker has them. A file that was seen already
// is a hard link; sockets, which no archive can hold, are left out, and so is
// what has vanished when its turn comes.
type Packer struct {
	archive *tar.Writer
	seen    map[inode]string
	buffer  []byte
}

type inode struct{ device, number uint64 }

// NewPacker returns a Packer that writes to w. What it writes is buffered by
// nobody.
func NewPacker(w io.Writer) *Packer {
	return &Packer{archive: tar.NewWriter(w), seen: make(map[inode]string), buffer: make([]byte, copyBlock)}
}

// Close ends the archive.
func (p *Packer) Close() error { return p.archive.Close() }

// maxName is the longest name of an archive that is made: the kernel's limit
// for one path, which also bounds how deep a tree is followed.
const maxName = 4096

// AddTree adds base in the directory parent as name, with all that is below it.
func (p *Packer) AddTree(ctx context.Context, parent int, base, name string) error {
	fd, st, err := Pin(parent, base)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.addTree(ctx, fd, &st, name)
}

// AddPinned adds what was pinned as name, with all that is below it.
func (p *Packer) AddPinned(ctx context.Context, pinned int, st *unix.Stat_t, name string) error {
	fd, err := unix.FcntlInt(uintptr(pinned), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return p.addTree(ctx, fd, st, name)
}

// AddBelow adds all that is below a pinned directory, by names relative to it.
func (p *Packer) AddBelow(ctx context.Context, pinned int) error {
	dir, err := unix.Openat(pinned, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return p.addChildren(ctx, dir, "")
}

// addTree closes pinned.
func (p *Packer) addTree(ctx context.Context, pinned int, st *unix.Stat_t, name string) error {
	dir, err := p.add(ctx, pinned, st, name)
	unix.Close(pinned)
	if err != nil || dir < 0 {
		return err
	}
	defer unix.Close(dir)
	return p.addChildren(ctx, dir, join(name, ""))
}

func (p *Packer) addChildren(ctx context.Context, dir int, prefix string) error {
	names, err := visible(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, child := range names {
		if err := p.AddTree(ctx, dir, child, prefix+child); err != nil {
			return err
		}
	}
	return nil
}

func join(dir, name string) string {
	if len(dir) > 0 && dir[len(dir)-1] == '/' {
		return dir + name
	}
	return dir + "/" + name
}

// Add adds base in the directory parent as name, and nothing below it.
func (p *Packer) Add(ctx context.Context, parent int, base, name string) error {
	fd, st, err := Pin(parent, base)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dir, err := p.add(ctx, fd, &st, name)
	if dir >= 0 {
		unix.Close(dir)
	}
	return err
}

// Whiteout adds an empty file without any owner or time.
func (p *Packer) Whiteout(name string) error {
	return p.archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Format: tar.FormatPAX, ModTime: time.Unix(0, 0)})
}

// add adds one file. It returns a directory opened for reading, else -1.
func (p *Packer) add(ctx context.Context, pinned int, st *unix.Stat_t, name string) (dir int, err error) {
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	if len(name) > maxName {
		return -1, fmt.Errorf("cannot archive a path of more than %d bytes: %w", maxName, unix.ENAMETOOLONG)
	}
	header, err := headerOf(pinned, st, name)
	if err != nil || header == nil {
		return -1, err
	}
	if isDir(st) {
		dir, err := unix.Openat(pinned, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			return -1, nil
		}
		if err != nil {
			return -1, err
		}
		return dir, p.archive.WriteHeader(header)
	}
	if st.Nlink > 1 {
		key := inode{st.Dev, st.Ino}
		if first, ok := p.seen[key]; ok {
			header.Typeflag, header.Linkname, header.Size, header.PAXRecords = tar.TypeLink, first, 0, nil
			return -1, p.archive.WriteHeader(header)
		}
		p.seen[key] = header.Name
	}
	if header.Typeflag != tar.TypeReg || header.Size == 0 {
		return -1, p.archive.WriteHeader(header)
	}
	return -1, p.addContent(ctx, pinned, st, header)
}

// addContent opens a file that is known to be a regular one.
func (p *Packer) addContent(ctx context.Context, pinned int, st *unix.Stat_t, header *tar.Header) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", pinned), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if hidden, err := IsKernels(fd); err != nil || hidden {
		header.Size = 0
		return errors.Join(err, p.archive.WriteHeader(header))
	}
	if err := p.archive.WriteHeader(header); err != nil {
		return err
	}
	sparse := st.Blocks*512 < st.Size
	return readData(ctx, p.archive, fd, header.Size, sparse, p.buffer)
}

// Pin opens a name without following or really opening it (O_PATH), so that
// what was looked at can be used whatever becomes of its name.
func Pin(parent int, base string) (fd int, st unix.Stat_t, err error) {
	fd, err = unix.Openat(parent, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, st, err
	}
	if err = unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// ReadLink returns the target of a symbolic link that is pinned.
func ReadLink(pinned int) (string, error) {
	buffer := make([]byte, maxName)
	n, err := unix.Readlinkat(pinned, "", buffer)
	if err != nil {
		return "", err
	}
	return string(buffer[:n]), nil
}

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// headerOf describes what is pinned; nil if no archive can hold it.
func headerOf(pinned int, st *unix.Stat_t, name string) (*tar.Header, error) {
	header := &tar.Header{
		Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Unix()).Truncate(time.Second), Format: tar.FormatPAX,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		header.Typeflag, header.Size = tar.TypeReg, st.Size
	case unix.S_IFDIR:
		header.Typeflag, header.Name = tar.TypeDir, join(name, "")
	case unix.S_IFLNK:
		target, err := ReadLink(pinned)
		if err != nil {
			return nil, err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
		return header, nil
	case unix.S_IFCHR:
		header.Typeflag = tar.TypeChar
		header.Devmajor, header.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	case unix.S_IFBLK:
		header.Typeflag = tar.TypeBlock
		header.Devmajor, header.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	case unix.S_IFIFO:
		header.Typeflag = tar.TypeFifo
	default:
		return nil, nil
	}
	return header, addAttributes(header, pinned)
}

// visible lists a directory; the kernel's own file systems look empty.
func visible(dir int) ([]string, error) {
	hidden, err := IsKernels(dir)
	if err != nil || hidden {
		return nil, err
	}
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	return f.Readdirnames(-1)
}

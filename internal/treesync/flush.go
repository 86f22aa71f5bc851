package treesync

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"
)

// maxFlushed is how many files are written to disk one by one. Of more, all
// that the file system has is: a look at each would take longer.
const maxFlushed = 256

// unwritten is what a Puller has changed and not written to disk yet, also over
// Pulls that failed.
type unwritten struct {
	names map[string]bool
	// rest says that there are files among it that cannot be opened, such as
	// links and devices.
	rest bool
}

func (u *unwritten) add(name string) {
	if u.names == nil {
		u.names = map[string]bool{}
	}
	u.names[name] = true
}

// flush has all that was changed on disk. It does so by file, because others
// may have written much to the same file system, which a container that is down
// would wait for.
func (p *Puller) flush() error {
	for dir := range p.times {
		p.unwritten.add(dir)
	}
	flush := p.flushFiles
	if p.unwritten.rest || len(p.unwritten.names) > maxFlushed {
		flush = p.flushAll
	}
	if err := flush(); err != nil {
		return err
	}
	p.unwritten = unwritten{}
	return nil
}

func (p *Puller) flushAll() error {
	fd, err := p.parent("")
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dir, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Syncfs(dir)
}

func (p *Puller) flushFiles() error {
	for name := range p.unwritten.names {
		if here := p.here[name]; name != "" && (here == nil || here.kind != unix.S_IFREG && here.kind != unix.S_IFDIR) {
			continue // it was removed again
		}
		err := p.flushFile(name)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) { // what it was in was removed again
			return err
		}
	}
	return nil
}

func (p *Puller) flushFile(name string) error {
	parent, base := name, "."
	if name != "" {
		parent, base = parentOf(name), path.Base(name)
	}
	dir, err := p.parent(parent)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}

// eager has a file's content written to disk while more of it comes.
type eager struct {
	target
	fd    int
	bytes int
}

// eagerly is of how many bytes at once the disk is told.
const eagerly = 8 << 20

// WriteAt implements io.WriterAt.
func (e *eager) WriteAt(b []byte, at int64) (int, error) {
	n, err := e.target.WriteAt(b, at)
	if e.bytes += n; e.bytes >= eagerly {
		e.bytes = 0
		// Not all file systems can; flush does it anyway.
		_ = unix.SyncFileRange(e.fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	}
	return n, err
}

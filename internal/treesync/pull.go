package treesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
)

// Source is the tree that a Puller copies. Its streams are closed by who reads
// them.
type Source interface {
	List(ctx context.Context) (io.ReadCloser, error)
	Read(ctx context.Context, wants []Want) (io.ReadCloser, error)
}

// Puller makes the tree below a directory what a Source's is. Nobody else may
// use that tree meanwhile. It may not be used by several goroutines at once.
type Puller struct {
	dir  string
	tree *tarfs.Tree
	// here are the files below dir, by name; nil before the first look.
	here map[string]*local
	// times are directories whose times have to be set again.
	times map[string]bool
	// unwritten is what may not be on disk yet.
	unwritten unwritten
	// Progress, if not nil, is told of each piece of content that has arrived.
	Progress func(bytes int)
}

// local is a file as it is here.
type local struct {
	kind    uint32
	version string // the source's, of when it was copied; "" is not known
	hashes  []byte // of its blocks, of big files that were copied
	block   int
	size    int64
}

// Stats is what a Pull did.
type Stats struct {
	Files int   // that were changed
	Bytes int64 // of content that came
}

// NewPuller returns a Puller of the tree below dir, which must exist.
func NewPuller(dir string) *Puller { return &Puller{dir: dir} }

// Pull copies what is not as it is at the source, and has it on disk when it
// returns. When it fails what has come stays, and the next Pull goes on.
func (p *Puller) Pull(ctx context.Context, from Source) (stats Stats, err error) {
	if p.tree, err = tarfs.OpenTree(p.dir); err != nil {
		return stats, fmt.Errorf("cannot copy a tree: %w", err)
	}
	defer p.tree.Close()
	stats, err = p.pull(ctx, from)
	if err != nil {
		return stats, fmt.Errorf("cannot copy a tree: %w", err)
	}
	return stats, nil
}

func (p *Puller) pull(ctx context.Context, from Source) (stats Stats, err error) {
	stream, err := from.List(ctx)
	if err != nil {
		return stats, err
	}
	all, err := readEntries(stream)
	stream.Close()
	if err != nil {
		return stats, err
	}
	if p.here == nil {
		here := map[string]*local{}
		if err := look(p.tree.Top(), "", here); err != nil {
			return stats, err
		}
		p.here = here
	}
	p.times = map[string]bool{}
	if err := p.clear(all); err != nil {
		return stats, err
	}
	if err := p.make(ctx, all, from, &stats); err != nil {
		return stats, err
	}
	return stats, p.flush()
}

// look finds the files that are here.
func look(dir int, name string, here map[string]*local) error {
	names, err := tarfs.Names(dir, ".")
	if err != nil {
		return err
	}
	for _, base := range names {
		child := path.Join(name, base)
		fd, st, err := tarfs.Pin(dir, base)
		if err != nil {
			return err
		}
		here[child] = &local{kind: st.Mode & unix.S_IFMT, size: st.Size}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = lookBelow(fd, child, here)
		}
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

func lookBelow(pinned int, name string, here map[string]*local) error {
	fd, err := unix.Openat(pinned, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return look(fd, name, here)
}

// clear removes what the source has not, or has as something else.
func (p *Puller) clear(all []entry) error {
	there := make(map[string]uint32, len(all))
	for i := range all {
		there[string(all[i].Path)] = all[i].kind()
	}
	var gone []string
	for name, file := range p.here {
		if kind, ok := there[name]; !ok || kind != file.kind {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone) // a directory comes before what is in it
	for _, name := range gone {
		if err := p.remove(name); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		p.dropStrays()
	}
	return nil
}

// dropStrays forgets what was below directories that were removed, however
// deep.
func (p *Puller) dropStrays() {
	for again := true; again; {
		again = false
		for name := range p.here {
			if dir := parentOf(name); dir != "" && p.here[dir] == nil {
				delete(p.here, name)
				again = true
			}
		}
	}
}

// remove removes what has a name here, with all that is below it.
func (p *Puller) remove(name string) error {
	delete(p.here, name)
	dir := parentOf(name)
	p.times[dir] = true
	parent, err := p.parent(dir)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return p.tree.RemoveAll(parent, path.Base(name))
}

// parent opens a directory of the tree. The caller closes it.
func (p *Puller) parent(dir string) (int, error) {
	fd, err := p.tree.Lookup(dir)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		unix.Close(fd)
		return -1, unix.ENOTDIR
	}
	return fd, nil
}

package treesync

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
)

// make makes all files what they are at the source: directories and what has
// no content first, then content, then further names, and directories' times
// at last.
func (p *Puller) make(ctx context.Context, all []entry, from Source, stats *Stats) error {
	var files, links, directories []*entry
	first := map[uint64]*entry{} // of the names of one file
	for i := range all {
		e := &all[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.kind() == unix.S_IFDIR {
			if err := p.directory(e, stats); err != nil {
				return err
			}
			directories = append(directories, e)
			continue
		}
		if e.Inode != 0 {
			if first[e.Inode] != nil && first[e.Inode].kind() == e.kind() {
				links = append(links, e)
				continue
			}
			first[e.Inode] = e
		}
		if here := p.here[string(e.Path)]; here != nil && here.version != "" && here.version == e.Version {
			continue
		}
		if e.kind() == unix.S_IFREG {
			files = append(files, e)
			continue
		}
		stats.Files++
		if err := p.special(e); err != nil {
			return err
		}
	}
	if err := p.fetch(ctx, files, from, stats); err != nil {
		return err
	}
	for _, e := range links {
		if err := p.link(e, first[e.Inode]); err != nil {
			return err
		}
	}
	return p.finish(directories)
}

// directory makes a directory, whose attributes follow at the end.
func (p *Puller) directory(e *entry, stats *Stats) error {
	name := string(e.Path)
	here := p.here[name]
	if name == "" || here != nil {
		if here == nil || here.version == "" || here.version != e.Version {
			p.times[name] = true
		}
		return nil
	}
	stats.Files++
	parent, err := p.parent(parentOf(name))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, path.Base(name), 0o700); err != nil {
		return err
	}
	p.here[name] = &local{kind: unix.S_IFDIR}
	p.times[name], p.times[parentOf(name)] = true, true
	return nil
}

// special makes what is neither a directory nor a regular file.
func (p *Puller) special(e *entry) error {
	name := string(e.Path)
	if err := p.remove(name); err != nil {
		return err
	}
	parent, err := p.parent(parentOf(name))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	base := path.Base(name)
	if e.kind() == unix.S_IFLNK {
		err = unix.Symlinkat(string(e.Target), parent, base)
	} else {
		err = unix.Mknodat(parent, base, e.Mode, int(e.Device))
	}
	if err != nil {
		return err
	}
	if err := decorate(parent, base, e); err != nil {
		return err
	}
	p.unwritten.rest = true
	p.here[name] = &local{kind: e.kind(), version: e.Version}
	return nil
}

// link gives a file one more name, unless it has it.
func (p *Puller) link(e, first *entry) error {
	name, target := string(e.Path), string(first.Path)
	if p.here[target] == nil {
		return nil // it vanished while it was read; the next list has neither
	}
	from, err := p.parent(parentOf(target))
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := p.parent(parentOf(name))
	if err != nil {
		return err
	}
	defer unix.Close(to)
	var is, wanted unix.Stat_t
	if err := unix.Fstatat(from, path.Base(target), &wanted, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if unix.Fstatat(to, path.Base(name), &is, unix.AT_SYMLINK_NOFOLLOW) == nil && is.Ino == wanted.Ino {
		return nil
	}
	if err := p.remove(name); err != nil {
		return err
	}
	if err := unix.Linkat(from, path.Base(target), to, path.Base(name), 0); err != nil {
		return err
	}
	p.here[name] = &local{kind: e.kind()}
	return nil
}

// finish gives directories their attributes, the deepest first.
func (p *Puller) finish(directories []*entry) error {
	slices.Reverse(directories)
	for _, e := range directories {
		name := string(e.Path)
		if !p.times[name] {
			continue
		}
		fd, err := p.parent(name)
		if err != nil {
			return err
		}
		err = decorateOpen(fd, e)
		unix.Close(fd)
		if err != nil {
			return err
		}
		if here := p.here[name]; here != nil {
			here.version = e.Version
		}
	}
	return nil
}

// decorate gives a file owner, mode, attributes and times.
func decorate(parent int, base string, e *entry) error {
	fd, _, err := tarfs.Pin(parent, base)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return decorateOpen(fd, e)
}

// decorateOpen works on any descriptor, O_PATH too. The order matters: a change
// of owner clears setuid bits and capabilities.
func decorateOpen(fd int, e *entry) error {
	if err := unix.Fchownat(fd, "", int(e.UID), int(e.GID), unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	stamp := unix.Timespec{Sec: e.Modified[0], Nsec: e.Modified[1]}
	stamps := []unix.Timespec{stamp, stamp}
	if e.kind() == unix.S_IFLNK {
		return unix.UtimesNanoAt(fd, "", stamps, unix.AT_EMPTY_PATH)
	}
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := unix.Chmod(self, e.Mode&0o7777); err != nil {
		return err
	}
	if err := setAttributes(fd, self, e.Attributes); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, self, stamps, 0)
}

func setAttributes(fd int, self string, want map[string][]byte) error {
	have, err := attributes(fd)
	if err != nil {
		return err
	}
	for key := range have {
		if _, stays := want[key]; stays {
			continue
		}
		if err := unix.Removexattr(self, key); err != nil && !refusable(err) {
			return err
		}
	}
	for key, value := range want {
		if !wanted(key) {
			continue
		}
		if err := unix.Setxattr(self, key, value, 0); err != nil && !refusable(err) {
			return err
		}
	}
	return nil
}

// refusable are answers of a file system, or a security module, that does not
// know an attribute.
func refusable(err error) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EINVAL)
}

package delta

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
)

// Size is the length of all files below an open directory, one with many names
// counted once: what Docker calls the size of a writable layer.
func Size(ctx context.Context, dir int) (int64, error) {
	s := &sizer{ctx: ctx, seen: make(map[uint64]bool)}
	err := s.below(dir, 0)
	return s.total, err
}

type sizer struct {
	ctx   context.Context
	seen  map[uint64]bool // files with more than one name
	total int64
}

func (s *sizer) below(dir, depth int) error {
	if err := s.ctx.Err(); err != nil || depth > maxPath/2 {
		return err
	}
	names, err := tarfs.Names(dir, ".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.add(dir, name, depth); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return err
		}
	}
	return nil
}

func (s *sizer) add(dir int, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if !isDir(&st) {
		if st.Nlink < 2 || !s.seen[st.Ino] {
			s.total += st.Size
			s.seen[st.Ino] = st.Nlink > 1
		}
		return nil
	}
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return s.below(fd, depth+1)
}

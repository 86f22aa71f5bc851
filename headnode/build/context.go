package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	gofs "io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Limits of a context.
const (
	maxContext      = 16 << 30 // bytes of files
	maxContextFiles = 1 << 20
	maxWindow       = 128 << 20 // bytes of memory that a decompressor may use
)

// contextFiles is a build's context as BuildKit reads it: a file system
// (fsutil.FS) of what an archive holds. The contents lie one after the other
// in a file without a name, which is gone with the process.
type contextFiles struct {
	spool   *os.File
	entries map[string]*contextEntry // by path without a leading slash
	order   []string                 // paths, as a walk finds them
}

type contextEntry struct {
	stat   *fstypes.Stat
	offset int64
}

// spool takes a context in: a tar archive, which may be compressed.
func spool(ctx context.Context, body io.Reader, dir string) (*contextFiles, error) {
	file, err := os.CreateTemp(dir, "build-context-")
	if err != nil {
		return nil, fmt.Errorf("cannot keep the build's context: %w", err)
	}
	c := &contextFiles{spool: file, entries: map[string]*contextEntry{}}
	if err := os.Remove(file.Name()); err != nil {
		c.close()
		return nil, fmt.Errorf("cannot keep the build's context: %w", err)
	}
	if err := c.read(ctx, body); err != nil {
		c.close()
		return nil, err
	}
	c.sort()
	return c, nil
}

func (c *contextFiles) close() { c.spool.Close() }

func (c *contextFiles) read(ctx context.Context, body io.Reader) error {
	plain, err := tarfs.Decompress(body, maxWindow)
	if err != nil {
		return model.WrapError(model.KindInvalid, err, "the build context cannot be read: it is no tar archive")
	}
	defer plain.Close()
	archive := tar.NewReader(plain)
	var size int64
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "the build context cannot be read: it is no tar archive, or it ends early")
		}
		if size += h.Size; size > maxContext || len(c.entries) >= maxContextFiles {
			return model.Errorf(model.KindTooLarge, "the build context is too large: at most %d files and %d bytes are allowed; name what is not needed in .dockerignore", maxContextFiles, int64(maxContext))
		}
		if err := c.add(h, archive); err != nil {
			return err
		}
	}
	// What follows the archive's end is read too: the client is still sending.
	io.Copy(io.Discard, plain)
	return nil
}

// add keeps one entry. Later ones of the same path replace it, as they would
// where archives are unpacked.
func (c *contextFiles) add(h *tar.Header, content io.Reader) error {
	name := cleanName(h.Name)
	if name == "" {
		return nil
	}
	c.addParents(name)
	stat := &fstypes.Stat{
		Path: name, Mode: uint32(h.FileInfo().Mode()), Size: h.Size, ModTime: h.ModTime.UnixNano(),
		Uid: uint32(h.Uid), Gid: uint32(h.Gid), Linkname: h.Linkname, Devmajor: h.Devmajor, Devminor: h.Devminor,
	}
	e := &contextEntry{stat: stat}
	switch h.Typeflag {
	case tar.TypeReg:
		stat.Linkname = ""
		at, err := c.spool.Seek(0, io.SeekEnd)
		if err != nil {
			return fmt.Errorf("cannot keep the build's context: %w", err)
		}
		e.offset = at
		if _, err := io.Copy(c.spool, content); err != nil {
			return model.WrapError(model.KindInvalid, err, "the build context cannot be read: it ends early")
		}
	case tar.TypeLink:
		target, ok := c.entries[cleanName(h.Linkname)]
		if !ok || !gofs.FileMode(target.stat.Mode).IsRegular() {
			return model.Errorf(model.KindInvalid, "the build context has a link, %.200s, to a file that is not before it", name)
		}
		stat.Mode, stat.Size, stat.Linkname = target.stat.Mode, target.stat.Size, "" // the same file once more
		e.offset = target.offset
	case tar.TypeSymlink, tar.TypeDir, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		stat.Size = 0
		if h.Typeflag != tar.TypeSymlink {
			stat.Linkname = ""
		}
	default:
		return nil // records of the archive, not files
	}
	c.entries[name] = e
	return nil
}

// cleanName is a path within the context; whatever it says, it does not lead
// out of it.
func cleanName(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// addParents adds folders that an archive does not mention.
func (c *contextFiles) addParents(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if e, ok := c.entries[dir]; ok && gofs.FileMode(e.stat.Mode).IsDir() {
			return
		}
		c.entries[dir] = &contextEntry{stat: &fstypes.Stat{Path: dir, Mode: uint32(gofs.ModeDir | 0o755)}}
	}
}

// sort puts paths in the order of a walk: what is in a folder follows it.
func (c *contextFiles) sort() {
	for name := range c.entries {
		c.order = append(c.order, name)
	}
	key := func(name string) string { return strings.ReplaceAll(name, "/", "\x00") }
	slices.SortFunc(c.order, func(a, b string) int { return strings.Compare(key(a), key(b)) })
}

// checkDockerfile refuses a context without the Dockerfile, in Docker's words.
func (c *contextFiles) checkDockerfile(name string) error {
	if name == "" {
		name = "Dockerfile"
	}
	if _, ok := c.entries[cleanName(name)]; ok {
		return nil
	}
	if _, ok := c.entries[strings.ToLower(name)]; ok && name == "Dockerfile" {
		return nil
	}
	return model.Errorf(model.KindInvalid, "Cannot locate specified Dockerfile: %.200s", name)
}

// Walk implements fsutil.FS.
func (c *contextFiles) Walk(ctx context.Context, target string, fn gofs.WalkDirFunc) error {
	target = cleanName(target)
	skipped := "" // folder whose content is not wanted
	for _, name := range c.order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if target != "" && name != target && !strings.HasPrefix(name, target+"/") {
			continue
		}
		if skipped != "" && strings.HasPrefix(name, skipped) {
			continue
		}
		stat := c.entries[name].stat.Clone()
		err := fn(name, &fsutil.DirEntryInfo{Stat: stat}, nil)
		switch {
		case errors.Is(err, gofs.SkipAll):
			return nil
		case errors.Is(err, gofs.SkipDir):
			skipped = name + "/"
			if !gofs.FileMode(stat.Mode).IsDir() {
				if skipped = path.Dir(name) + "/"; skipped == "./" {
					return nil
				}
			}
		case err != nil:
			return err
		}
	}
	return nil
}

// Open implements fsutil.FS.
func (c *contextFiles) Open(name string) (io.ReadCloser, error) {
	e, ok := c.entries[cleanName(name)]
	if !ok || !gofs.FileMode(e.stat.Mode).IsRegular() {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return io.NopCloser(io.NewSectionReader(c.spool, e.offset, e.stat.Size)), nil
}

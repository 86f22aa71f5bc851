package archive

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Owner is who gets what is unpacked.
type Owner struct{ UID, GID uint32 }

// WriteOptions say how an archive is unpacked.
type WriteOptions struct {
	// NoOverwriteDirNonDir refuses to replace a directory by something else,
	// and something else by a directory.
	NoOverwriteDirNonDir bool
	// Owner of all that is unpacked; nil keeps the archive's owners.
	Owner *Owner
}

// What a body may ask for beyond the space that its container has.
const (
	maxWindow  = 128 << 20 // bytes of memory to decompress it
	maxTrailer = 1 << 20   // bytes after the archive's end
)

// Write unpacks an archive, plain or compressed with gzip, bzip2, xz or zstd,
// into a directory; a link to a directory is followed. What the archive names
// replaces what is there, but directories are merged. After an error what was
// unpacked so far stays.
func (r *Root) Write(ctx context.Context, p string, o WriteOptions, body io.Reader) error {
	if err := checkPath(p); err != nil {
		return err
	}
	tree, err := r.tree()
	if err != nil {
		return err
	}
	defer tree.Close()
	dest, err := r.destination(tree, p)
	if err != nil {
		return err
	}
	plain, err := tarfs.Decompress(body, maxWindow)
	if err != nil {
		return streamError(err)
	}
	defer plain.Close()
	w := &writer{tree: tree, dest: dest, options: o}
	w.maker = tarfs.Maker{Tree: tree, LinkTarget: w.linkTarget}
	w.content.archive = &gauge{r: plain}
	if err := w.all(ctx, tar.NewReader(w.content.archive)); err != nil {
		return err
	}
	if err := w.maker.Finish(); err != nil {
		return typed(err, "cannot set the times of a directory")
	}
	// A client that is still sending its last blocks would take an answer now
	// for a broken connection.
	_, err = io.CopyN(io.Discard, plain, maxTrailer)
	if err != nil && err != io.EOF {
		return streamError(err)
	}
	return nil
}

// destination finds the directory to unpack into and returns its path.
func (r *Root) destination(tree *tarfs.Tree, p string) (string, error) {
	fd, err := tree.Resolve(absolute(p))
	if errors.Is(err, unix.ENOTDIR) {
		return "", model.Errorf(model.KindInvalid, "extraction point is not a directory")
	}
	if err != nil {
		return "", r.pathError(p, err)
	}
	defer unix.Close(fd)
	return path.Clean("/" + p), r.checkWritable(fd)
}

// checkWritable refuses a directory that lies on something read-only before
// anything is changed there.
func (r *Root) checkWritable(fd int) error {
	var at, top unix.Statx_t
	var fs unix.Statfs_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &at)
	if err == nil {
		err = unix.Statx(r.fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &top)
	}
	if err == nil {
		err = unix.Fstatfs(fd, &fs)
	}
	if err != nil {
		return typed(err, "cannot look at the directory to unpack into")
	}
	inRoot := at.Mnt_id == top.Mnt_id
	readOnly := fs.Flags&unix.ST_RDONLY != 0
	switch {
	case inRoot && (readOnly || r.readOnly):
		return model.Errorf(model.KindInvalid, "container rootfs is marked read-only")
	case readOnly:
		return model.Errorf(model.KindInvalid, "mounted volume is marked read-only")
	}
	return nil
}

// writer is the state of one Write.
type writer struct {
	tree    *tarfs.Tree
	maker   tarfs.Maker
	dest    string
	options WriteOptions
	content expansion
}

func (w *writer) all(ctx context.Context, archive *tar.Reader) error {
	w.content.r = archive
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return streamError(err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := w.entry(ctx, header); err != nil {
			return entryError(header.Name, err)
		}
	}
}

func (w *writer) entry(ctx context.Context, header *tar.Header) error {
	name, err := w.locate(header.Name)
	if err != nil || name == w.dest {
		return err // the destination itself stays as it is
	}
	if err := w.check(header); err != nil {
		return err
	}
	if w.options.Owner != nil {
		header.Uid, header.Gid = int(w.options.Owner.UID), int(w.options.Owner.GID)
	}
	dir, last := path.Split(name)
	parent, err := w.tree.Parent(dir)
	if err != nil {
		return err
	}
	if w.options.NoOverwriteDirNonDir {
		if err := w.checkOverwrite(parent, last, header); err != nil {
			return err
		}
	}
	if err := w.maker.Clear(parent, last, header); err != nil {
		return err
	}
	return w.maker.Make(ctx, dir, last, header, &w.content)
}

// locate turns a name of the archive into one of the tree.
func (w *writer) locate(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", model.Errorf(model.KindInvalid, "%.128q is outside of %.128q", name, w.dest)
	}
	return path.Join(w.dest, clean), nil
}

// linkTarget is locate for the targets of hard links.
func (w *writer) linkTarget(name string) (string, error) {
	target, err := w.locate(name)
	if err != nil {
		return "", model.Errorf(model.KindInvalid, "invalid hardlink: %.128q is outside of %.128q", name, w.dest)
	}
	return target, nil
}

// check refuses a header that no file can be made of.
func (w *writer) check(header *tar.Header) error {
	switch {
	case strings.ContainsRune(header.Name, 0), strings.ContainsRune(header.Linkname, 0):
		return model.Errorf(model.KindInvalid, "a name in the archive holds a zero byte")
	case header.Uid < 0 || header.Gid < 0 || int64(header.Uid) > tarfs.MaxID || int64(header.Gid) > tarfs.MaxID:
		return model.Errorf(model.KindInvalid, "%.128q has an owner that is no user id", header.Name)
	}
	return nil
}

func (w *writer) checkOverwrite(parent int, last string, header *tar.Header) error {
	var st unix.Stat_t
	err := unix.Fstatat(parent, last, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	was, becomes := st.Mode&unix.S_IFMT == unix.S_IFDIR, header.Typeflag == tar.TypeDir
	switch {
	case was && !becomes:
		return model.Errorf(model.KindInvalid, "cannot overwrite directory %.128q with non-directory %.128q", path.Join(w.dest, header.Name), w.dest)
	case !was && becomes:
		return model.Errorf(model.KindInvalid, "cannot overwrite non-directory %.128q with directory %.128q", path.Join(w.dest, header.Name), w.dest)
	}
	return nil
}

package unpack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// Result is what a layer turned out to be.
type Result struct {
	DiffID  digest.Digest // of the uncompressed archive
	Size    int64         // bytes of the files in it
	Entries int
}

// Apply unpacks a layer into the tree below root, which holds the lower
// layers. An error of KindInvalid is the layer's fault, KindExhausted a full
// disk. After an error the tree below root is in an unknown state; nothing
// outside of it was touched.
func Apply(ctx context.Context, root string, layer io.Reader, limits Limits) (Result, error) {
	packed := &gauge{r: layer}
	plain, err := decompress(packed, limits.Window)
	if err != nil {
		return Result{}, streamError(err)
	}
	defer plain.Close()
	hash := digest.SHA256.Digester()
	stream := io.TeeReader(&governor{r: plain, packed: packed, limits: limits}, hash.Hash())

	t, err := openTree(root)
	if err != nil {
		return Result{}, err
	}
	defer t.close()
	u := &unpacker{tree: t, limits: limits, written: make(map[string]struct{})}
	if err := u.all(ctx, tar.NewReader(stream)); err != nil {
		return Result{}, err
	}
	// What follows the archive's end belongs to the digest too.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return Result{}, streamError(err)
	}
	if err := u.finish(); err != nil {
		return Result{}, err
	}
	return Result{DiffID: hash.Digest(), Size: u.size, Entries: u.entries}, nil
}

// unpacker is the state of one Apply.
type unpacker struct {
	tree    *tree
	limits  Limits
	entries int
	names   int64
	size    int64
	buffer  []byte
	// written holds the names that this layer made and the directories above
	// them: its own whiteouts leave them alone.
	written map[string]struct{}
	// directories get their times at the end, when nothing is made in them
	// any more.
	directories []directoryTime
}

type directoryTime struct {
	name  string
	times [2]unix.Timespec
}

func (u *unpacker) all(ctx context.Context, archive *tar.Reader) error {
	u.buffer = make([]byte, 128<<10)
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
		if err := u.check(header); err != nil {
			return err
		}
		if err := u.entry(ctx, header, archive); err != nil {
			return u.describe(header, err)
		}
	}
}

// check holds a header to the limits before anything is made of it.
func (u *unpacker) check(header *tar.Header) error {
	u.entries++
	u.names += int64(len(header.Name))
	attributes := 0
	for key, value := range header.PAXRecords {
		if strings.HasPrefix(key, xattrRecord) {
			attributes += len(key) - len(xattrRecord) + len(value)
		}
	}
	switch {
	case u.entries > u.limits.Entries:
		return refuse("it has more than %d entries", u.limits.Entries)
	case u.names > u.limits.Names:
		return refuse("its names take more than %d bytes", u.limits.Names)
	case len(header.Name) > u.limits.Path, len(header.Linkname) > u.limits.Path:
		return refuse("a name in it is longer than %d bytes", u.limits.Path)
	case strings.ContainsRune(header.Name, 0), strings.ContainsRune(header.Linkname, 0):
		return refuse("a name in it holds a zero byte")
	case attributes > u.limits.Xattr:
		return refuse("%.128q has more than %d bytes of extended attributes", header.Name, u.limits.Xattr)
	case header.Size < 0 || header.Size > u.limits.Bytes-u.size:
		return refuse("its files take more than %d bytes", u.limits.Bytes)
	case header.Uid < 0 || header.Gid < 0 || int64(header.Uid) > maxID || int64(header.Gid) > maxID:
		return refuse("%.128q has an owner that is no user id", header.Name)
	}
	return nil
}

// maxID is the highest user or group id; the one above it means "no change".
const maxID = 1<<32 - 2

func (u *unpacker) entry(ctx context.Context, header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name := path.Clean("/" + header.Name)
	dir, base := path.Split(name)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return u.whiteout(dir, base)
	}
	u.wrote(name)
	if name == "/" {
		return u.rootEntry(header)
	}
	parent, err := u.tree.parent(dir)
	if err != nil {
		return err
	}
	if err := u.clear(parent, base, header); err != nil {
		return err
	}
	if parent, err = u.tree.parent(dir); err != nil {
		return err
	}
	if err := u.create(ctx, parent, base, header, content); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeDir {
		u.directories = append(u.directories, directoryTime{name, times(header)})
	}
	return nil
}

// rootEntry gives the root directory itself an owner and a mode.
func (u *unpacker) rootEntry(header *tar.Header) error {
	if header.Typeflag != tar.TypeDir {
		return refuse("its root is no directory")
	}
	u.directories = append(u.directories, directoryTime{"/", times(header)})
	return decorate(u.tree.root, ".", header)
}

// finish sets the times of directories, in the order of the archive.
func (u *unpacker) finish() error {
	for _, d := range u.directories {
		dir, base := path.Split(d.name)
		if base == "" {
			base = "."
		}
		parent, err := u.tree.parent(dir)
		if err == nil {
			err = unix.UtimesNanoAt(parent, base, d.times[:], unix.AT_SYMLINK_NOFOLLOW)
		}
		// A later entry of the layer may have removed it again.
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return fmt.Errorf("cannot set times of a directory: %w", err)
		}
	}
	return nil
}

// describe says which entry failed, and whose fault it is: what a hostile
// archive can provoke is the archive's.
func (u *unpacker) describe(header *tar.Header, err error) error {
	var typed *model.Error
	switch {
	case errors.As(err, &typed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return model.WrapError(model.KindExhausted, err, "failed to register layer: no space left on device")
	case errors.Is(err, unix.EIO), errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("cannot unpack layer: %w", err)
	}
	cause := err
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return model.WrapError(model.KindInvalid, cause, "failed to register layer: cannot make %.128q: %v", header.Name, err)
}

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

	"github.com/spearheadcloud/spearhead/internal/tarfs"
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
	plain, err := tarfs.Decompress(packed, limits.Window)
	if err != nil {
		return Result{}, streamError(err)
	}
	defer plain.Close()
	hash := digest.SHA256.Digester()
	stream := readAhead(io.TeeReader(&governor{r: plain, packed: packed, limits: limits, root: root}, hash.Hash()))
	defer stream.end() // before what it reads from is closed

	t, err := tarfs.OpenTree(root)
	if err != nil {
		return Result{}, fmt.Errorf("cannot open the tree to unpack into: %w", err)
	}
	defer t.Close()
	t.OneMount = true
	u := &unpacker{tree: t, maker: tarfs.Maker{Tree: t}, limits: limits, written: make(map[string]struct{})}
	if err := u.all(ctx, tar.NewReader(stream)); err != nil {
		return Result{}, err
	}
	// What follows the archive's end belongs to the digest too.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return Result{}, streamError(err)
	}
	if err := u.maker.Finish(); err != nil {
		return Result{}, err
	}
	return Result{DiffID: hash.Digest(), Size: u.size, Entries: u.entries}, nil
}

// unpacker is the state of one Apply.
type unpacker struct {
	tree    *tarfs.Tree
	maker   tarfs.Maker
	limits  Limits
	entries int
	names   int64
	size    int64
	// written holds the names that this layer made and the directories above
	// them: its own whiteouts leave them alone.
	written map[string]struct{}
}

func (u *unpacker) all(ctx context.Context, archive *tar.Reader) error {
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
		if strings.HasPrefix(key, tarfs.AttributeRecord) {
			attributes += len(key) - len(tarfs.AttributeRecord) + len(value)
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
	case header.Typeflag == tar.TypeChar && header.Devmajor == 0 && header.Devminor == 0:
		return refuse("%.128q is the device by which an overlay hides files", header.Name)
	case header.Uid < 0 || header.Gid < 0 || int64(header.Uid) > tarfs.MaxID || int64(header.Gid) > tarfs.MaxID:
		return refuse("%.128q has an owner that is no user id", header.Name)
	}
	return nil
}

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
	parent, err := u.tree.Parent(dir)
	if err != nil {
		return err
	}
	if err := u.maker.Clear(parent, base, header); err != nil {
		return err
	}
	counted := &gauge{r: content}
	err = u.maker.Make(ctx, dir, base, header, counted)
	u.size += counted.n
	return err
}

// rootEntry gives the root directory itself an owner and a mode.
func (u *unpacker) rootEntry(header *tar.Header) error {
	if header.Typeflag != tar.TypeDir {
		return refuse("its root is no directory")
	}
	return u.maker.Top(header)
}

// describe says which entry failed, and whose fault it is: what a hostile
// archive can provoke is the archive's.
func (u *unpacker) describe(header *tar.Header, err error) error {
	var typed *model.Error
	var stream *tarfs.StreamError
	var fault *tarfs.ArchiveError
	switch {
	case errors.As(err, &fault):
		return refuse("%v", fault)
	case errors.As(err, &stream):
		return streamError(stream.Err)
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

package unpack

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// Limits bound what one layer may cost. All of them are inclusive.
type Limits struct {
	Bytes     int64 // of the unpacked archive, and of the files in it
	Ratio     int64 // of unpacked to packed bytes, looked at after RatioFree
	RatioFree int64 // unpacked bytes
	Entries   int   // in the archive
	Names     int64 // bytes of all names together: they are held in memory
	Path      int   // bytes of one name or link target
	Xattr     int   // bytes of all extended attributes of one entry
	Window    int64 // bytes of memory that a zstd frame may ask for
	Spare     int64 // bytes that stay free on the disk, for everybody else
}

// GzipRatio is more than gzip can pack anything (RFC 1951 ends at 1032). What
// people's own builds pack, and nodes' commits, is below it, for files of
// zeros too.
const GzipRatio = 1100

// DefaultLimits returns the limits that a node uses. A layer's size is bounded
// by Bytes and by what the disk has; the ratio refuses what only a bomb has.
func DefaultLimits() Limits {
	return Limits{
		Bytes:     10 << 30,
		Ratio:     GzipRatio,
		RatioFree: 2 << 30,
		Entries:   1_000_000,
		Names:     128 << 20,
		Path:      4096,
		Xattr:     64 << 10,
		Window:    128 << 20,
		Spare:     1 << 30,
	}
}

func refuse(format string, args ...any) error {
	return model.Errorf(model.KindInvalid, "failed to register layer: "+format, args...)
}

// gauge counts the bytes that pass.
type gauge struct {
	r io.Reader
	n int64
}

func (g *gauge) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.n += int64(n)
	return n, err
}

// governor stops a decompressed stream that grows beyond the limits, or that
// would fill the disk that it is unpacked to.
type governor struct {
	r      io.Reader
	packed *gauge
	limits Limits
	root   string // is on that disk
	n      int64
	looked int64 // n when the disk was looked at
}

// lookEvery is how many bytes are unpacked between two looks at the disk.
const lookEvery = 32 << 20

func (g *governor) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.n += int64(n)
	if g.n > g.limits.Bytes {
		return n, refuse("it unpacks to more than %d bytes", g.limits.Bytes)
	}
	if g.n > g.limits.RatioFree && g.n/g.limits.Ratio > g.packed.n {
		return n, refuse("it unpacks to more than %d times its size", g.limits.Ratio)
	}
	if g.n-g.looked >= lookEvery {
		g.looked = g.n
		if full := g.room(); full != nil {
			return n, full
		}
	}
	return n, err
}

// room returns an error once less than the spare bytes are free.
func (g *governor) room() error {
	var disk unix.Statfs_t
	if err := unix.Statfs(g.root, &disk); err != nil {
		return fmt.Errorf("cannot look at the disk: %w", err)
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < g.limits.Spare {
		return model.Errorf(model.KindExhausted, "failed to register layer: no space left on device")
	}
	return nil
}

// streamError gives an error of reading the archive its kind: what the limits
// or the operating system said stays, all else is a fault of the archive.
func streamError(err error) error {
	var typed *model.Error
	if errors.As(err, &typed) {
		return err
	}
	return model.WrapError(model.KindInvalid, err, "failed to register layer: %s", brokenArchive(err))
}

func brokenArchive(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "the archive ends too early"
	}
	return fmt.Sprintf("the archive is broken (%v)", err)
}

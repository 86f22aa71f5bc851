package unpack

import (
	"errors"
	"fmt"
	"io"

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
}

// DefaultLimits returns the limits that a node uses.
func DefaultLimits() Limits {
	return Limits{
		Bytes:     10 << 30,
		Ratio:     200,
		RatioFree: 100 << 20,
		Entries:   1_000_000,
		Names:     128 << 20,
		Path:      4096,
		Xattr:     64 << 10,
		Window:    128 << 20,
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

// governor stops a decompressed stream that grows beyond the limits.
type governor struct {
	r      io.Reader
	packed *gauge
	limits Limits
	n      int64
}

func (g *governor) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.n += int64(n)
	if g.n > g.limits.Bytes {
		return n, refuse("it unpacks to more than %d bytes", g.limits.Bytes)
	}
	if g.n > g.limits.RatioFree && g.n/g.limits.Ratio > g.packed.n {
		return n, refuse("it unpacks to more than %d times its size", g.limits.Ratio)
	}
	return n, err
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

package image

import (
	"context"
	"errors"
	"io"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// bounds are what a stream may unpack to.
type bounds struct {
	bytes  int64
	ratio  int64 // of unpacked to packed bytes, looked at after free unpacked ones
	free   int64
	window int64 // of memory for unpacking
}

// plainReader reads what a stream unpacks to, within bounds, until its context
// ends.
type plainReader struct {
	plain  io.ReadCloser
	packed *packedReader
	bounds bounds
	n      int64
}

// packedReader counts the bytes of the packed stream.
type packedReader struct {
	ctx context.Context
	r   io.Reader
	n   int64
}

func (p *packedReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}

// openPlain begins to unpack a stream, which may be plain or compressed.
func openPlain(ctx context.Context, r io.Reader, b bounds) (*plainReader, error) {
	packed := &packedReader{ctx: ctx, r: r}
	plain, err := tarfs.Decompress(packed, b.window)
	if err != nil {
		return nil, brokenStream(err)
	}
	return &plainReader{plain: plain, packed: packed, bounds: b}, nil
}

// Read implements io.Reader.
func (p *plainReader) Read(b []byte) (int, error) {
	n, err := p.plain.Read(b)
	p.n += int64(n)
	switch {
	case p.n > p.bounds.bytes:
		err = model.Errorf(model.KindTooLarge, "the archive unpacks to more than %d bytes", p.bounds.bytes)
	case p.n > p.bounds.free && p.n/p.bounds.ratio > p.packed.n:
		err = model.Errorf(model.KindInvalid, "the archive unpacks to more than %d times its size", p.bounds.ratio)
	}
	return n, err
}

// Close implements io.Closer.
func (p *plainReader) Close() error { return p.plain.Close() }

// brokenStream gives an error of reading an archive its kind.
func brokenStream(err error) error {
	var typed *model.Error
	switch {
	case errors.As(err, &typed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return model.WrapError(model.KindInvalid, err, "the archive ends too early; send it again")
	}
	return model.WrapError(model.KindInvalid, err, "the archive is broken, or it is no tar archive")
}

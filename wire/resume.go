package wire

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// castagnoli tells what has come from what another run of zfs would send. It
// only spares a useless try: ZFS checks the whole stream itself.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	// resumePatience is for how long a stream that broke off is asked for anew
	// without a byte of it, and resumePause between two tries.
	resumePatience = 30 * time.Second
	resumePause    = 500 * time.Millisecond
)

// Resuming returns the stream of a volume's snapshot that open gives. When the
// connection breaks, or the sender's agent ends, it is opened anew where it
// broke off, so that its reader notices nothing. A request without a snapshot is
// opened once: the files of another moment are another stream.
func Resuming(ctx context.Context, r SendVolumeRequest, open func(context.Context, SendVolumeRequest) (io.ReadCloser, error)) (io.ReadCloser, error) {
	first, err := open(ctx, r)
	if err != nil || r.Snapshot == "" {
		return first, err
	}
	return &resuming{ctx: ctx, request: r, open: open, stream: first}, nil
}

type resuming struct {
	ctx     context.Context
	request SendVolumeRequest // of what is still to come
	open    func(context.Context, SendVolumeRequest) (io.ReadCloser, error)
	stream  io.ReadCloser // nil while there is none
	moved   bool          // something has come of the newest one
}

// Read implements io.Reader.
func (r *resuming) Read(b []byte) (int, error) {
	deadline := time.Now().Add(resumePatience)
	for {
		var n int
		err := error(nil)
		if r.stream == nil {
			r.stream, err = r.open(r.ctx, r.request)
		}
		if err == nil {
			n, err = r.stream.Read(b)
		}
		r.request.Offset += int64(n)
		r.request.Sum = crc32.Update(r.request.Sum, castagnoli, b[:n])
		broken := model.IsKind(err, model.KindUnavailable) || errors.Is(err, io.ErrUnexpectedEOF)
		if n > 0 && broken {
			err = nil // the next read asks anew
		}
		if broken {
			r.drop()
		}
		again := r.moved // at once, for the sender was there a moment ago
		r.moved = n > 0
		if n > 0 || !broken || r.ctx.Err() != nil || time.Now().After(deadline) {
			return n, err
		}
		if again {
			continue
		}
		if err := r.pause(); err != nil {
			return 0, err
		}
	}
}

func (r *resuming) drop() {
	if r.stream != nil {
		r.stream.Close()
		r.stream = nil
	}
}

func (r *resuming) pause() error {
	timer := time.NewTimer(resumePause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// Close implements io.Closer.
func (r *resuming) Close() error {
	r.drop()
	return nil
}

// Rest returns what a request asks for of a whole stream: all of it, or what
// comes after its Offset. KindConflict, at the first read, if what is before
// that is not what the asker has.
func Rest(stream io.ReadCloser, r SendVolumeRequest) io.ReadCloser {
	if r.Offset <= 0 {
		return stream
	}
	return &rest{ReadCloser: stream, request: r}
}

type rest struct {
	io.ReadCloser
	request SendVolumeRequest
	skipped bool
}

// Read implements io.Reader.
func (s *rest) Read(b []byte) (int, error) {
	if s.skipped {
		return s.ReadCloser.Read(b)
	}
	sum := crc32.New(castagnoli)
	if _, err := io.CopyN(sum, s.ReadCloser, s.request.Offset); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if sum.Sum32() != s.request.Sum {
		return 0, model.Errorf(model.KindConflict, "the stream is another one than that which broke off; begin anew")
	}
	s.skipped = true
	return s.ReadCloser.Read(b)
}

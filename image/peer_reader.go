package image

import (
	"context"
	"errors"
	"io"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// peerPatience is how long a peer may send nothing before another one is asked.
const peerPatience = 10 * time.Second

// peerReader reads one part of an image from whichever peer gives it. It goes
// on at the same place with the next peer when one fails.
type peerReader struct {
	ctx     context.Context // of the copy
	from    *peers
	desc    ocispec.Descriptor
	anySize bool // desc.Size is what the first peer says

	offset int64
	breaks int
	peer   int
	stream io.ReadCloser // nil while no peer sends
	end    context.CancelCauseFunc
}

var (
	errSilent  = errors.New("the node sent nothing for a while")
	errNoPeers = errors.New("there is no other node to ask")
)

// open finds a peer that sends from the offset on.
func (r *peerReader) open() error {
	var reasons []error
	for _, peer := range r.from.order() {
		ctx, end := context.WithCancelCause(r.ctx)
		patience := time.AfterFunc(peerPatience, func() { end(errSilent) })
		size, stream, err := r.from.all[peer].Blob(ctx, r.desc.Digest.String(), r.offset)
		patience.Stop()
		if err == nil && (r.anySize || size == r.desc.Size) {
			r.desc.Size = size
			r.peer, r.stream, r.end = peer, stream, end
			r.from.sends(r.desc.Digest, peer)
			return nil
		}
		end(nil)
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		switch {
		case err == nil:
			stream.Close()
			r.from.lied(peer)
			err = errors.New("the node holds content of another size")
		case !model.IsKind(err, model.KindNotFound):
			r.from.fail(peer)
		}
		reasons = append(reasons, err)
	}
	return r.from.nobody(errors.Join(append(reasons, errNoPeers)...))
}

// Read implements io.Reader.
func (r *peerReader) Read(b []byte) (int, error) {
	for {
		left := r.desc.Size - r.offset
		if left <= 0 {
			return 0, io.EOF
		}
		if r.stream == nil {
			if err := r.open(); err != nil {
				return 0, err
			}
		}
		end := r.end
		patience := time.AfterFunc(peerPatience, func() { end(errSilent) })
		n, err := r.stream.Read(b[:min(int64(len(b)), left)])
		patience.Stop()
		r.offset += int64(n)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue
		}
		r.Close()
		if r.ctx.Err() != nil {
			return 0, r.ctx.Err()
		}
		r.from.fail(r.peer)
		if r.breaks++; r.breaks > 2*len(r.from.all) {
			return 0, r.from.nobody(err)
		}
	}
}

// Seek implements io.Seeker for a place from the beginning.
func (r *peerReader) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart || offset < 0 {
		return r.offset, errors.New("cannot seek but from the beginning")
	}
	if offset != r.offset {
		r.Close()
		r.offset = offset
	}
	return offset, nil
}

// Close implements io.Closer.
func (r *peerReader) Close() error {
	if r.stream == nil {
		return nil
	}
	r.end(nil)
	err := r.stream.Close()
	r.stream = nil
	return err
}

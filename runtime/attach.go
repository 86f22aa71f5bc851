package runtime

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// Attach joins a registered container's streams, also before it starts. A
// client that does not read is cut off: see Stream and DESIGN.md.
func (r *Runtime) Attach(ctx context.Context, id string, o AttachOptions) (Stream, error) {
	if !o.Logs {
		s, _, err := r.join(ctx, id, o, false)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	past := LogOptions{Stdout: o.Stdout, Stderr: o.Stderr, Tail: -1}
	if !o.Stream {
		log, err := r.Logs(ctx, id, past)
		if err != nil {
			return nil, err
		}
		return &logStream{log: log}, nil
	}
	// The supervisor says what was logged before the client joined: what comes on the
	// stream follows that without a gap or a repetition.
	s, header, err := r.join(ctx, id, o, true)
	if err != nil {
		return nil, err
	}
	if past.Until, err = time.Parse(time.RFC3339Nano, header.Get(iod.LogTimeHeader)); err != nil || past.Until.IsZero() {
		return s, nil
	}
	log, err := r.Logs(ctx, id, past)
	if model.IsKind(err, model.KindNotImplemented) {
		return s, nil // nothing is logged
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return &logStream{log: log, live: s}, nil
}

func (r *Runtime) join(ctx context.Context, id string, o AttachOptions, carry bool) (*stream, http.Header, error) {
	if _, err := iod.ParseDetachKeys(o.DetachKeys); err != nil {
		return nil, nil, model.WrapError(model.KindInvalid, err, "invalid detach keys (%.40s)", o.DetachKeys)
	}
	q := url.Values{}
	for name, on := range map[string]bool{"stdin": o.Stdin, "stdout": o.Stdout, "stderr": o.Stderr, "carry": carry} {
		if on {
			q.Set(name, "1")
		}
	}
	q.Set("detachKeys", o.DetachKeys)
	path := unitPath(id, "attach") + "?" + q.Encode()
	s, header, err := r.client.upgrade(ctx, path)
	if model.IsKind(failure(err, "attach"), model.KindUnavailable) && r.guardian.await(ctx) == nil {
		s, header, err = r.client.upgrade(ctx, path)
	}
	return s, header, failure(err, "attach to the container")
}

// A logStream is what was logged, and then the live stream, if there is one.
type logStream struct {
	log  io.ReadCloser // nil when it is used up
	live *stream
}

func (s *logStream) Read(b []byte) (int, error) {
	if s.log != nil {
		n, err := s.log.Read(b)
		if n > 0 || err != io.EOF {
			return n, err
		}
		s.log.Close()
		s.log = nil
	}
	if s.live == nil {
		return 0, io.EOF
	}
	return s.live.Read(b)
}

func (s *logStream) Write(b []byte) (int, error) {
	if s.live == nil {
		return 0, io.ErrClosedPipe
	}
	return s.live.Write(b)
}

func (s *logStream) CloseWrite() error {
	if s.live == nil {
		return nil
	}
	return s.live.CloseWrite()
}

func (s *logStream) Close() error {
	if s.log != nil {
		s.log.Close()
	}
	if s.live == nil {
		return nil
	}
	return s.live.Close()
}

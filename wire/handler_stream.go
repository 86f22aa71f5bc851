package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/model"
)

func (h *handler) attach(w http.ResponseWriter, r *http.Request) {
	var in AttachRequest
	if !h.decode(w, r, &in) {
		return
	}
	h.upgrade(w, r, func(ctx context.Context) (Stream, error) {
		return h.agent.Attach(ctx, r.PathValue("id"), in)
	})
}

func (h *handler) execStart(w http.ResponseWriter, r *http.Request) {
	var in ExecStartRequest
	if !h.decode(w, r, &in) {
		return
	}
	if !in.Detach {
		h.upgrade(w, r, func(ctx context.Context) (Stream, error) {
			return h.agent.ExecStart(ctx, r.PathValue("id"), in)
		})
		return
	}
	if _, err := h.agent.ExecStart(r.Context(), r.PathValue("id"), in); err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// upgrade opens a stream and joins it to the request's connection until both
// directions have ended, or the peer is gone.
func (h *handler) upgrade(w http.ResponseWriter, r *http.Request, open func(context.Context) (Stream, error)) {
	if r.Header.Get("Upgrade") != upgradeName {
		h.fail(w, r, model.Errorf(model.KindInvalid, "this call needs a connection that can be upgraded to %s", upgradeName))
		return
	}
	// Once it is upgraded the request's context no longer follows the
	// connection, but it still ends with the server.
	ctx := r.Context()
	stream, err := open(ctx)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer stream.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// Errors of the connection show at the first copy.
	conn.SetDeadline(time.Time{})
	buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + upgradeName + "\r\n\r\n")
	buffered.Flush()
	splice(conn, buffered.Reader, stream)
}

// splice copies both ways between a connection and a stream and returns when
// the stream's output has ended, or the peer has closed. The peer's half-close
// is passed on and leaves output flowing.
func splice(conn net.Conn, early *bufio.Reader, stream Stream) {
	input := make(chan struct{})
	go func() {
		defer close(input)
		if n := early.Buffered(); n > 0 {
			if _, err := io.CopyN(stream, early, int64(n)); err != nil {
				return
			}
		}
		_, err := io.CopyBuffer(writerOnly{stream}, readerOnly{conn}, make([]byte, streamBuffer))
		if err == nil {
			stream.CloseWrite()
			if !awaitHangup(conn) {
				return
			}
		} else if !fromReader(err) {
			return // the stream takes no more input; its output may go on
		}
		stream.Close() // the peer is gone: nobody is left to read
	}()
	_, err := io.CopyBuffer(cork.NewWriter(conn, cork.Below(conn)), readerOnly{stream}, make([]byte, streamBuffer))
	if err == nil {
		closeWrite(conn)
	}
	conn.Close()
	stream.Close()
	<-input
}

// awaitHangup waits for the end of a connection whose peer has ended its
// input, and reports whether the peer closed it. Only TLS lets the two be told
// apart: its half-close is a message, and the TCP stream ends later.
func awaitHangup(conn net.Conn) bool {
	t, ok := conn.(*tls.Conn)
	if !ok {
		return false
	}
	io.Copy(io.Discard, t.NetConn()) // any end will do
	return true
}

// closeWrite ends the direction from us to the peer.
func closeWrite(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// readFailure tells which side of a copy failed.
type readFailure struct{ error }

func (e readFailure) Unwrap() error { return e.error }

func fromReader(err error) bool {
	var f readFailure
	return errors.As(err, &f)
}

// readerOnly and writerOnly hide other methods, so that a copy uses its big
// buffer, and mark errors of the reading side.
type readerOnly struct{ r io.Reader }

func (r readerOnly) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = readFailure{err}
	}
	return n, err
}

type writerOnly struct{ w io.Writer }

func (w writerOnly) Write(p []byte) (int, error) { return w.w.Write(p) }

func (h *handler) logs(w http.ResponseWriter, r *http.Request) {
	var in LogsRequest
	if !h.decode(w, r, &in) {
		return
	}
	log, err := h.agent.Logs(r.Context(), r.PathValue("id"), in)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer log.Close()
	w.Header().Set("Content-Type", contentRaw)
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	flush.Flush() // the reader waits for the first byte of a log that is silent
	buffer := make([]byte, streamBuffer)
	for {
		n, err := log.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
			flush.Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			h.failBehind(w, r, readFailure{err})
			return
		}
	}
}

func (h *handler) pull(w http.ResponseWriter, r *http.Request) {
	var in PullRequest
	if !h.decode(w, r, &in) {
		return
	}
	stream, err := h.agent.PullImage(r.Context(), in)
	tell(h, w, r, stream, err, func(e *ErrorBody) PullMessage { return PullMessage{Error: e} })
}

func (h *handler) journal(w http.ResponseWriter, r *http.Request) {
	var after Ack
	if !h.decode(w, r, &after) {
		return
	}
	stream, err := h.agent.Journal(r.Context(), after)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer stream.Close()
	out := newLineWriter(w)
	if out.send(journalLine{Epoch: stream.Epoch()}) != nil {
		return
	}
	for {
		entries, err := stream.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			h.report(r, err)
			out.send(journalLine{Error: NewErrorBody(err)})
			return
		}
		if out.send(journalLine{Entries: entries}) != nil {
			return
		}
	}
}

// lineWriter sends JSON values, one a line, each at once.
type lineWriter struct {
	encoder *json.Encoder
	flush   *http.ResponseController
}

func newLineWriter(w http.ResponseWriter) *lineWriter {
	w.Header().Set("Content-Type", contentLines)
	w.WriteHeader(http.StatusOK)
	return &lineWriter{json.NewEncoder(w), http.NewResponseController(w)}
}

func (o *lineWriter) send(v any) error {
	if err := o.encoder.Encode(v); err != nil {
		return err
	}
	return o.flush.Flush()
}

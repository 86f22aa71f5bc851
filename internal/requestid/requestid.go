package requestid

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
)

// Header carries the id between machines, and to users with each answer.
const Header = "X-Request-Id"

// Key is the id's key in the log.
const Key = "request"

// maxLength bounds an id that comes from elsewhere, in bytes.
const maxLength = 64

type contextKey struct{}

// New chooses an id.
func New() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// With returns a context on behalf of the request with that id.
func With(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// Of returns the id of the request that ctx is on behalf of, or "".
func Of(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}

// Send puts the context's id, if it has one, into the header of a request to
// another machine.
func Send(ctx context.Context, h http.Header) {
	if id := Of(ctx); id != "" {
		h.Set(Header, id)
	}
}

// Received returns r with the id that its sender gave it in its context. An id
// that could deface the log is not taken. Only what comes from machines of the
// data center may be believed.
func Received(r *http.Request) *http.Request {
	id := r.Header.Get(Header)
	if !valid(id) {
		return r
	}
	return r.WithContext(With(r.Context(), id))
}

func valid(id string) bool {
	const allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_./"
	return id != "" && len(id) <= maxLength && strings.Trim(id, allowed) == ""
}

// Logging returns a handler that adds to each record the id of its context,
// where it has one.
func Logging(next slog.Handler) slog.Handler { return logging{next} }

type logging struct{ slog.Handler }

// Handle implements slog.Handler.
func (l logging) Handle(ctx context.Context, r slog.Record) error {
	if id := Of(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String(Key, id))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l logging) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logging{l.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (l logging) WithGroup(name string) slog.Handler { return logging{l.Handler.WithGroup(name)} }

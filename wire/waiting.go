package wire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
)

var errAbandoned = model.Errorf(model.KindUnavailable, "the node that holds this cannot be reached; try again when it is back")

// waiting holds the calls that have no answer yet.
type waiting struct {
	mu    sync.Mutex
	calls map[*context.CancelCauseFunc]struct{}
}

// enter returns a context for a call, and what ends it. It is ended when the
// call is abandoned before leave.
func (w *waiting) enter(parent context.Context) (context.Context, *context.CancelCauseFunc) {
	ctx, end := context.WithCancelCause(parent)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[*context.CancelCauseFunc]struct{}{}
	}
	w.calls[&end] = struct{}{}
	return ctx, &end
}

func (w *waiting) leave(end *context.CancelCauseFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, end)
}

func (w *waiting) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for end := range w.calls {
		(*end)(errAbandoned)
	}
	clear(w.calls)
}

// body is an answer's, with which its call ends. An error of Read has a kind,
// also when it is the node's own and comes behind the content.
type body struct {
	io.ReadCloser
	ctx  context.Context
	resp *http.Response
	end  *context.CancelCauseFunc
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, broken(b.ctx, err)
	}
	reason := b.resp.Trailer.Get(errorTrailer)
	if reason == "" {
		return n, io.EOF
	}
	var told ErrorBody
	if err := json.Unmarshal([]byte(reason), &told); err != nil {
		return n, broken(b.ctx, err)
	}
	return n, told.Err()
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	(*b.end)(nil)
	return err
}

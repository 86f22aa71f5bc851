package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// imageRoutes serves ImageStore and Peer.
func (h *handler) imageRoutes(route func(string, http.HandlerFunc)) {
	a, images := h.agent, pathPrefix+"/images"
	route("POST "+images+"/push", func(w http.ResponseWriter, r *http.Request) {
		var in PushRequest
		if !h.decode(w, r, &in) {
			return
		}
		stream, err := a.PushImage(r.Context(), in)
		tell(h, w, r, stream, err, func(e *ErrorBody) PushMessage { return PushMessage{Error: e} })
	})
	route("POST "+images+"/copy", func(w http.ResponseWriter, r *http.Request) {
		var in CopyRequest
		if !h.decode(w, r, &in) {
			return
		}
		stream, err := a.CopyImage(r.Context(), in)
		tell(h, w, r, stream, err, func(e *ErrorBody) PullMessage { return PullMessage{Error: e} })
	})
	route("POST "+images+"/save", h.save)
	route("POST "+images+"/load", h.load)
	route("POST "+images+"/import", h.importImage)
	route("POST "+images+"/resolve", answer(h, func(ctx context.Context, _ string, in PullRequest) (ResolvedImage, error) {
		return a.ResolveImage(ctx, in)
	}))
	route("POST "+images+"/tags", answer(h, func(ctx context.Context, _ string, in PullRequest) ([]string, error) { return a.ListTags(ctx, in) }))
	route("POST "+images+"/search", answer(h, func(ctx context.Context, _ string, in SearchRequest) ([]FoundImage, error) {
		return a.SearchImages(ctx, in)
	}))
	route("POST "+images+"/shed", answer(h, func(ctx context.Context, _ string, in CopyRequest) (int64, error) { return a.ShedImage(ctx, in) }))
	route("GET "+images+"/usage", answer(h, func(ctx context.Context, _ string, _ none) (ImageUsage, error) { return a.ImageUsage(ctx) }))
	route("GET "+pathPrefix+blobsPath+"{digest}", h.blobOf(a))
}

func (h *handler) save(w http.ResponseWriter, r *http.Request) {
	var in SaveRequest
	if !h.decode(w, r, &in) {
		return
	}
	archive, err := h.agent.SaveImages(r.Context(), in)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer archive.Close()
	h.copyOut(w, r, archive)
}

// load answers while it reads: what is said keeps the sender patient.
func (h *handler) load(w http.ResponseWriter, r *http.Request) {
	var in LoadRequest
	if !h.arguments(w, r, &in) {
		return
	}
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		h.fail(w, r, err)
		return
	}
	stream, err := h.agent.LoadImages(r.Context(), in, r.Body)
	tell(h, w, r, stream, err, func(e *ErrorBody) LoadMessage { return LoadMessage{Error: e} })
}

func (h *handler) importImage(w http.ResponseWriter, r *http.Request) {
	var in ImportRequest
	if !h.arguments(w, r, &in) {
		return
	}
	img, err := h.agent.ImportImage(r.Context(), in, r.Body)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, img)
}

// blobOf serves content that p holds.
func (h *handler) blobOf(p Peer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
		if err != nil || offset < 0 {
			h.fail(w, r, model.Errorf(model.KindInvalid, "the offset of a blob is not a number"))
			return
		}
		content, err := p.Blob(r.Context(), r.PathValue("digest"), offset)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		defer content.Close()
		w.Header().Set(sizeHeader, strconv.FormatInt(content.Size, 10))
		h.copyOut(w, r, content)
	}
}

// arguments reads the arguments of a call whose body is a stream.
func (h *handler) arguments(w http.ResponseWriter, r *http.Request, v any) bool {
	err := json.Unmarshal([]byte(r.URL.Query().Get(requestParameter)), v)
	if err != nil {
		h.fail(w, r, model.WrapError(model.KindInvalid, err, "the message is not valid JSON of the expected form"))
	}
	return err == nil
}

// tell sends a stream's messages, each as it comes, with empty ones as signs
// of life, and an error in the form that failed gives it.
func tell[M any](h *handler, w http.ResponseWriter, r *http.Request, stream interface {
	Next() (M, error)
	io.Closer
}, err error, failed func(*ErrorBody) M) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer stream.Close()
	out := newLineWriter(w)
	messages, end := make(chan M), make(chan error, 1)
	go func() {
		defer close(messages)
		for {
			m, err := stream.Next()
			if err != nil {
				end <- err
				return
			}
			select {
			case messages <- m:
			case <-r.Context().Done():
				end <- r.Context().Err()
				return
			}
		}
	}()
	relay(out, messages)
	if err := <-end; !errors.Is(err, io.EOF) {
		h.report(r, err)
		out.send(failed(NewErrorBody(err)))
	}
}

// relay sends each message as it comes, and an empty one where a while has
// passed without any, until messages is closed.
func relay[M any](o *lineWriter, messages <-chan M) {
	life := time.NewTicker(signOfLife)
	defer life.Stop()
	for {
		select {
		case m, more := <-messages:
			if !more {
				return
			}
			o.send(m)
		case <-life.C:
			var none M
			o.send(none)
		}
	}
}

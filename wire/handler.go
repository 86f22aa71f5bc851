package wire

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
)

// NewHandler returns the HTTP form of a. Who may call is decided by the TLS
// listener that it is served on. Errors without a kind, and the causes of
// those that have one, are logged here and not told to the caller.
func NewHandler(a Agent, logger *slog.Logger) http.Handler {
	h := &handler{agent: a, log: logger}
	mux := http.NewServeMux()
	route := func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) }

	route("GET "+pathPrefix+"/info", answer(h, func(ctx context.Context, _ string, _ none) (model.NodeInfo, error) { return a.Info(ctx) }))
	route("GET "+pathPrefix+"/containers", answer(h, func(ctx context.Context, _ string, _ none) ([]ContainerRecord, error) { return a.Containers(ctx) }))

	containers := pathPrefix + "/containers/{id}"
	route("PUT "+containers, answer(h, h.create))
	route("POST "+containers+"/start", answer(h, func(ctx context.Context, id string, _ none) (Ack, error) { return a.Start(ctx, id) }))
	route("POST "+containers+"/stop", answer(h, a.Stop))
	route("POST "+containers+"/restart", answer(h, a.Restart))
	route("POST "+containers+"/kill", answer(h, a.Kill))
	route("POST "+containers+"/pause", answer(h, func(ctx context.Context, id string, _ none) (Ack, error) { return a.Pause(ctx, id) }))
	route("POST "+containers+"/unpause", answer(h, func(ctx context.Context, id string, _ none) (Ack, error) { return a.Unpause(ctx, id) }))
	route("POST "+containers+"/update", answer(h, a.Update))
	route("GET "+containers+"/stats", answer(h, func(ctx context.Context, id string, _ none) (model.Stats, error) { return a.Stats(ctx, id) }))
	route("GET "+containers+"/health", answer(h, func(ctx context.Context, id string, _ none) (model.Health, error) { return a.Health(ctx, id) }))
	route("POST "+pathPrefix+"/sizes", answer(h, func(ctx context.Context, _ string, ids []string) (map[string]model.ContainerSize, error) {
		return a.Sizes(ctx, ids)
	}))
	route("POST "+containers+"/remove", answer(h, a.Remove))
	route("POST "+containers+"/stat", answer(h, a.StatPath))
	route("POST "+containers+"/archive/read", h.readArchive)
	route("POST "+containers+"/archive/write", h.writeArchive)
	route("POST "+containers+"/export", h.export)
	route("GET "+containers+"/changes", answer(h, func(ctx context.Context, id string, _ none) ([]model.FileChange, error) { return a.Changes(ctx, id) }))
	route("POST "+containers+"/commit", answer(h, a.Commit))
	route("POST "+containers+"/resize", perform(h, a.Resize))
	route("POST "+containers+"/top", answer(h, a.Top))
	route("POST "+containers+"/execs", perform(h, a.ExecCreate))
	route("POST "+containers+"/attach", h.attach)
	route("POST "+containers+"/logs", h.logs)

	execs := pathPrefix + "/execs/{id}"
	route("GET "+execs, answer(h, func(ctx context.Context, id string, _ none) (ExecState, error) { return a.ExecInspect(ctx, id) }))
	route("POST "+execs+"/start", h.execStart)
	route("POST "+execs+"/resize", perform(h, a.ExecResize))

	route("GET "+pathPrefix+"/images", answer(h, func(ctx context.Context, _ string, _ none) ([]string, error) { return a.Images(ctx) }))
	route("DELETE "+pathPrefix+"/images/{id}", perform(h, func(ctx context.Context, id string, _ none) error { return a.RemoveImage(ctx, id) }))
	route("POST "+pathPrefix+"/images/pull", h.pull)
	h.imageRoutes(route)
	h.builderRoutes(route)
	h.lifeRoute(route)
	h.attendRoute(route)
	h.volumeRoutes(route)
	h.networkRoutes(route)
	h.moveRoutes(route)
	h.volumeMoveRoutes(route)
	route("POST "+pathPrefix+"/journal", h.journal)
	return h.onBehalf(mux)
}

// onBehalf serves each call on behalf of the user's request that its caller
// names, and notes calls that change something, so that a request can be
// followed to the node by its id.
func (h *handler) onBehalf(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = requestid.Received(r)
		if r.Method != http.MethodGet && requestid.Of(r.Context()) != "" {
			h.log.InfoContext(r.Context(), "call", "op", r.Method+" "+r.URL.Path)
		}
		next.ServeHTTP(w, r)
	})
}

type handler struct {
	agent Agent
	log   *slog.Logger
}

// none is the argument of calls that have none: their body is not read.
type none struct{}

// answer serves a call that returns something.
func answer[In, Out any](h *handler, f func(context.Context, string, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if !h.decode(w, r, &in) {
			return
		}
		out, err := f(r.Context(), r.PathValue("id"), in)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}
}

// perform serves a call that returns nothing.
func perform[In any](h *handler, f func(context.Context, string, In) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if !h.decode(w, r, &in) {
			return
		}
		if err := f(r.Context(), r.PathValue("id"), in); err != nil {
			h.fail(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (h *handler) create(ctx context.Context, id string, in CreateRequest) (Ack, error) {
	if in.Container.ID != id {
		return Ack{}, errOtherID
	}
	return h.agent.Create(ctx, in)
}

// decode reads the request's body into v, or answers with what is wrong.
func (h *handler) decode(w http.ResponseWriter, r *http.Request, v any) bool {
	if _, empty := v.(*none); empty {
		return true
	}
	if err := decodeBody(r.Body, maxRequest, v); err != nil {
		h.fail(w, r, err)
		return false
	}
	return true
}

// fail answers with err and logs what the caller is not told.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.report(r, err)
	body := NewErrorBody(err)
	status, ok := statusOf[body.Kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, body)
}

func (h *handler) report(r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	var e *model.Error
	if model.KindOf(err) == model.KindInternal || errors.As(err, &e) && e.Cause != nil {
		h.log.ErrorContext(r.Context(), "call failed", "op", r.Method+" "+r.URL.Path, "err", err)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	encoded, err := json.Marshal(v)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte(`{"kind":"internal","text":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	w.Write(encoded) // a reader that is gone does not want the rest
}

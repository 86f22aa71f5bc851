package accountapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Store is what the calls need of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
}

// Config is what a Handler stands on. Fresh and Served may be nil.
type Config struct {
	Auth     dockerapi.Authenticator
	Store    Store
	Volumes  Volumes
	Networks Networks
	// Fresh returns when this head knows all that any head had answered to
	// before, and fails when it cannot be sure to.
	Fresh func(context.Context) error
	// Served is told of each request that was answered.
	Served func(dockerapi.Served)
	Logger *slog.Logger
}

// server is the handler; it owns nothing beyond the requests that it serves.
type server struct {
	Config
	turns turns
}

// call is one request on its way through a handler.
type call struct {
	*http.Request
	w       http.ResponseWriter
	account model.Account
}

// handle carries a call out. What it returns is the answer, nil for none.
type handle func(*call) (any, error)

// New returns a handler of the calls below Prefix, which leaves all other paths
// to next.
func New(c Config, next http.Handler) http.Handler {
	s, calls := &server{Config: c}, http.NewServeMux()
	for pattern, handle := range s.routes() {
		method, path, _ := strings.Cut(pattern, " ")
		calls.Handle(method+" "+Prefix+path, s.serve(pattern, handle))
	}
	top := topOf(Prefix)
	calls.Handle(top, s.serve("", unknownCall))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, top) {
			calls.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// topOf is the first part of a path, which is ours in all versions.
func topOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + first + "/"
}

func (s *server) routes() map[string]handle {
	const rule, volume = "/rules/{id}", "/volumes/{name}"
	return map[string]handle{
		"GET /usage":                    s.usage,
		"GET /packages":                 s.packages,
		"GET /networks":                 s.networks,
		"GET /rules":                    s.rules,
		"POST /rules":                   s.createRule,
		"GET " + rule:                   s.oneRule,
		"PATCH " + rule:                 s.changeRule,
		"DELETE " + rule:                s.removeRule,
		"GET /volumes":                  s.volumes,
		"GET " + volume + "/snapshots":  s.snapshots,
		"POST " + volume + "/snapshots": s.takeSnapshot,
		"DELETE " + volume + "/snapshots/{snapshot}": s.removeSnapshot,
		"POST " + volume + "/restore":                s.restoreVolume,
		"POST " + volume + "/size":                   s.resizeVolume,
		"POST " + volume + "/name":                   s.renameVolume,
		"POST " + volume + "/clone":                  s.cloneVolume,
	}
}

func unknownCall(c *call) (any, error) {
	return nil, model.Errorf(model.KindNotFound, "there is no call %.16s %.128s; this head serves those below %s", c.Method, c.URL.Path, Prefix)
}

// serve makes a handler of a call: it finds out who asks, and answers with the
// call's result or error.
func (s *server) serve(pattern string, handle handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, id := time.Now(), requestid.New()
		tracked := &response{ResponseWriter: w}
		c := &call{Request: r.WithContext(requestid.With(r.Context(), id)), w: tracked}
		w.Header().Set(requestid.Header, id)
		defer func() { s.served(c, pattern, tracked.status, time.Since(began)) }()
		defer s.recoverPanic(c, tracked)
		out, err := s.answer(c, handle)
		if err != nil {
			s.fail(c, tracked, err)
			return
		}
		tracked.write(http.StatusOK, out)
	})
}

// answer carries a call out for the account that its certificate proves, as of
// all that any head had answered to before: a key that was taken away at
// another head opens nothing.
func (s *server) answer(c *call, handle handle) (any, error) {
	if c.Header.Get("Origin") != "" {
		return nil, model.Errorf(model.KindForbidden, "requests of web pages are refused: they carry an Origin header")
	}
	if s.Fresh != nil {
		if err := s.Fresh(c.Context()); err != nil {
			return nil, err
		}
	}
	var err error
	if c.account, err = s.Auth.Authenticate(c.Request); err != nil {
		return nil, err
	}
	done, err := s.turns.take(c.account.ID)
	if err != nil {
		return nil, err
	}
	defer done()
	return handle(c)
}

func (s *server) fail(c *call, w *response, err error) {
	kind, log := model.KindOf(err), s.Logger.Debug
	text := model.UserText(err)
	gone := errors.Is(err, context.Canceled) && c.Context().Err() != nil
	if kind == model.KindInternal && !gone {
		log = s.Logger.Error
		text += " (request " + requestid.Of(c.Context()) + ")"
	}
	log("request refused", slog.String("op", c.Method+" "+c.URL.Path), slog.String("account", c.account.Login),
		slog.String(requestid.Key, requestid.Of(c.Context())), slog.Any("err", err))
	w.write(dockerapi.Status(kind), failure{kind, text})
}

func (s *server) recoverPanic(c *call, w *response) {
	p := recover()
	if p == nil {
		return
	}
	id := requestid.Of(c.Context())
	dockerapi.Survive(p, s.Logger, slog.String("op", c.Method+" "+c.URL.Path), slog.String("account", c.account.Login), slog.String(requestid.Key, id))
	w.write(http.StatusInternalServerError, failure{model.KindInternal, "internal error (request " + id + ")"})
}

// served counts a request that was answered, and writes into the log who
// changed what, as Docker's API does.
func (s *server) served(c *call, pattern string, status int, took time.Duration) {
	route := ""
	if method, path, ok := strings.Cut(pattern, " "); ok {
		route = method + " " + Prefix + path
	}
	if s.Served != nil {
		s.Served(dockerapi.Served{Route: compat.Route(route), Status: status, Took: took})
	}
	if c.account.ID == "" || c.Method == http.MethodGet || c.Method == http.MethodHead {
		return
	}
	s.Logger.InfoContext(c.Context(), "request", slog.String("op", route), slog.String("path", fmt.Sprintf("%.200s", c.URL.Path)),
		slog.String("account", c.account.Login), slog.Int("status", status), slog.Duration("took", took))
}

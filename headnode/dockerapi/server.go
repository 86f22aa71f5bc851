package dockerapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
)

// Limits that an http.Server in front of the handler should have. Writes have
// no time limit: attach, logs, wait and events last as long as they last. The
// server must offer HTTP/1.1 only, because HTTP/2 connections cannot be handed over.
const (
	MaxHeaderBytes    = 32 << 10
	ReadHeaderTimeout = 10 * time.Second
	IdleTimeout       = 120 * time.Second
)

// Config is what the API stands on. Every field but Logger and LogDrivers is required.
type Config struct {
	Auth        Authenticator
	Containers  Containers
	Control     Control
	Usage       Usage
	Files       Files
	Execs       Execs
	Builds      Builds
	Images      Images
	Pruner      ImagePruner
	Transfers   Transfers
	Registries  Registries
	Networks    Networks
	Connections Connections
	Volumes     Volumes
	System      System
	// Fresh returns when this head knows all that any head had answered to
	// before, and fails when it cannot be sure to; nil is a head that always
	// does.
	Fresh   func(context.Context) error
	Version string // of Spearhead, shown to clients
	// Endpoints are the addresses at which this head publishes ports, the one
	// that is shown first before others; none are shown as any.
	Endpoints []netip.Addr
	// LogDrivers are those that containers may have; empty is all there are.
	LogDrivers []string
	// Served, if not nil, is told of each request that was answered; it must
	// be quick.
	Served func(Served)
	Logger *slog.Logger
}

// New returns the handler of the Docker Engine API. It is safe for concurrent
// use and owns no goroutine beyond the requests that it serves.
func New(c Config) http.Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(c.Endpoints) == 0 {
		c.Endpoints = []netip.Addr{netip.IPv4Unspecified()}
	}
	if len(c.LogDrivers) == 0 {
		c.LogDrivers = logopt.Drivers()
	}
	return &server{
		Config:   c,
		routes:   newRouter(routes),
		lists:    newListCache(),
		inspects: newInspectCache(),
		now:      time.Now,
		program:  thisProgram(),

		statsInterval: statsInterval,
		maxUpload:     maxUpload,
	}
}

type server struct {
	Config
	routes   *router
	lists    *listCache
	inspects *inspectCache
	now      func() time.Time
	program  program

	statsInterval time.Duration
	maxUpload     int64 // bytes of an archive of images
}

// call is one request on its way through a handler.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	id      string // of the request
	account model.Account
	version compat.Version
	route   compat.Route
	vars    map[string]string // what stood in the place of the pattern's {names}
	query   query
	broken  bool // the answer's body ended early: the client must see it
}

func (c *call) ctx() context.Context { return c.r.Context() }

// ServeHTTP serves one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tracked := &response{ResponseWriter: w}
	id := requestid.New()
	c := &call{w: tracked, r: r.WithContext(requestid.With(r.Context(), id)), id: id, version: compat.Newest}
	w.Header().Set(requestid.Header, c.id)
	defer s.served(c, tracked, s.now())
	defer s.recoverPanic(c, tracked)
	if err := s.serve(c); err != nil {
		s.fail(c, tracked, err)
	}
	if c.broken {
		panic(http.ErrAbortHandler)
	}
}

// serve finds the route, checks who asks and runs the handler. Nothing but
// the open routes can be told apart without an identity.
func (s *server) serve(c *call) error {
	if origin := c.r.Header.Get("Origin"); origin != "" && !sameOrigin(origin, c.r.Host) {
		return model.Errorf(model.KindForbidden, "requests of web pages are refused: they carry an Origin header")
	}
	versionText, path := splitVersion(c.r.URL.EscapedPath())
	match, found := s.routes.find(c.r.Method, path)
	if !found || !match.route.open {
		if err := s.identify(c, match.route); err != nil {
			return err
		}
	}
	if strings.Contains(path, "//") {
		return redirectClean(c)
	}
	if versionText != "" {
		version, err := compat.Parse(versionText)
		if err != nil {
			return model.Errorf(model.KindInvalid, "%s", err)
		}
		c.version = version
	}
	s.setHeaders(c.w.Header())
	if c.r.Method == http.MethodOptions {
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	if !found {
		return errPageNotFound
	}
	c.route, c.vars = match.route.name, match.vars
	var err error
	if c.query, err = parseQuery(c.r.URL.RawQuery); err != nil {
		return err
	}
	compat.RaiseQuery(c.route, c.version, c.query.Values)
	return match.route.handle(s, c)
}

// sameOrigin reports whether an Origin header names this server. Clients of
// WebSockets send such a one; a web page's names where the page came from, and
// none comes from here.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// errPageNotFound is what Docker says of a path that is no part of its API.
var errPageNotFound = model.Errorf(model.KindNotFound, "page not found")

// setHeaders sets what clients negotiate by.
func (s *server) setHeaders(h http.Header) {
	h.Set("Api-Version", compat.Newest.String())
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", "linux")
	h.Set("Server", "Spearhead/"+s.Version+" (linux)")
}

// redirectClean answers a path with doubled slashes as Docker does. Nothing
// else in a path is ever rewritten.
func redirectClean(c *call) error {
	target := *c.r.URL
	clean := target.EscapedPath()
	for strings.Contains(clean, "//") {
		clean = strings.ReplaceAll(clean, "//", "/")
	}
	location := clean
	if target.RawQuery != "" {
		location += "?" + target.RawQuery
	}
	c.w.Header().Set("Location", location)
	c.w.WriteHeader(http.StatusMovedPermanently)
	return nil
}

// splitVersion takes the version prefix off an escaped path: /v1.44/info is
// "1.44" and /info.
func splitVersion(path string) (version, rest string) {
	after, ok := strings.CutPrefix(path, "/v")
	if !ok {
		return "", path
	}
	version, rest, _ = strings.Cut(after, "/")
	if version == "" || strings.Trim(version, "0123456789.") != "" {
		return "", path
	}
	return version, "/" + rest
}

func (s *server) recoverPanic(c *call, w *response) {
	p := recover()
	if p == nil {
		return
	}
	Survive(p, s.Logger, slog.String("op", string(c.route)), slog.String("account", c.account.Login), slog.String(requestid.Key, c.id))
	if !w.hijacked {
		s.fail(c, w, model.Errorf(model.KindInternal, "internal error"))
	}
}

// Survive keeps a defect in one request from ending others: it writes what was
// recovered into the log, with what is given of the request. Requests that are
// aborted on purpose go on to be.
func Survive(p any, log *slog.Logger, request ...any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	log.With(request...).Error("panic in a request", slog.String("err", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
}

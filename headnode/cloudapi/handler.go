package cloudapi

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Config is what a Handler stands on.
type Config struct {
	// Account finds an account by its login.
	Account func(login string) (model.Account, bool)
	// Hosts are the names and addresses of this head, the usual one first, and
	// Port is where it listens.
	Hosts  []string
	Port   string
	Now    func() time.Time
	Logger *slog.Logger
}

type handler struct{ Config }

// New returns a handler that answers the CloudAPI calls and leaves all else to
// next.
func New(c Config, next http.Handler) http.Handler {
	h := &handler{c}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/--ping" {
			h.ping(w, r)
			return
		}
		if login, ok := servicesPath(r.URL.Path); ok {
			h.services(w, r, login)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// dockerVersion is how Docker's paths begin: GET /v1.48/services lists swarm
// services and is not ours.
var dockerVersion = regexp.MustCompile(`^v[0-9.]+$`)

func servicesPath(path string) (login string, ok bool) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first, rest == "services" && first != "" && !dockerVersion.MatchString(first)
}

// ping answers anybody, but says so if a signature was sent and is wrong: the
// setup script tries its key here.
func (h *handler) ping(w http.ResponseWriter, r *http.Request) {
	if !h.readOnly(w, r) {
		return
	}
	if r.Header.Get("Authorization") != "" {
		if _, ok := h.authenticate(w, r); !ok {
			return
		}
	}
	write(w, http.StatusOK, map[string]string{"ping": "pong"})
}

// services tells where the Docker endpoint is, on one line without spaces: the
// setup script takes it apart with sed.
func (h *handler) services(w http.ResponseWriter, r *http.Request, login string) {
	if !h.readOnly(w, r) {
		return
	}
	account, ok := h.authenticate(w, r)
	if !ok {
		return
	}
	if login != account.Login && login != "my" {
		refuse(w, http.StatusForbidden, "NotAuthorized", account.Login+" may not see the services of "+login)
		return
	}
	at := net.JoinHostPort(h.host(r), h.Port)
	write(w, http.StatusOK, map[string]string{"cloudapi": "https://" + at, "docker": "tcp://" + at})
}

// host is the name that the client used, if it is one of ours.
func (h *handler) host(r *http.Request) string {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	if slices.Contains(h.Hosts, name) {
		return name
	}
	return h.Hosts[0]
}

func (h *handler) readOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	refuse(w, http.StatusMethodNotAllowed, "BadMethod", r.Method+" is not allowed here")
	return false
}

// authenticate answers the request itself if its signature proves nothing.
func (h *handler) authenticate(w http.ResponseWriter, r *http.Request) (model.Account, bool) {
	account, err := h.signer(r)
	if err != nil {
		h.Logger.Info("refused signature", slog.String("path", r.URL.Path), slog.Any("err", err))
		refuse(w, http.StatusUnauthorized, "InvalidCredentials", model.UserText(err))
		return model.Account{}, false
	}
	return account, true
}

func (h *handler) signer(r *http.Request) (model.Account, error) {
	invalid := func(format string, args ...any) error {
		return model.Errorf(model.KindUnauthenticated, format, args...)
	}
	s, err := parseSignature(r.Header.Get("Authorization"))
	if err != nil {
		return model.Account{}, invalid("%v", err)
	}
	if err := checkDate(r, h.Now()); err != nil {
		return model.Account{}, invalid("%v", err)
	}
	account, ok := h.Account(s.login)
	if !ok {
		return model.Account{}, invalid("the account %q has no key %s", s.login, s.key)
	}
	key, ok := findKey(account.Keys, s.key)
	if !ok {
		return model.Account{}, invalid("the account %q has no key %s", s.login, s.key)
	}
	text, err := s.text(r)
	if err != nil {
		return model.Account{}, invalid("%v", err)
	}
	if err := verify(key, s.algorithm, text, s.value); err != nil {
		return model.Account{}, invalid("%v", err)
	}
	return account, nil
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	write(w, status, map[string]string{"code": code, "message": message})
}

func write(w http.ResponseWriter, status int, v map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A map of strings always encodes, and the client may have gone.
	_ = json.NewEncoder(w).Encode(v)
}

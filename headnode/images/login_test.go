package images_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// registry knows jill with the password "secret", to whom its realm gives the
// identity token "identity" to keep, and the token "pass" to show.
func registry(t *testing.T, scheme string, serve func(http.Handler) *httptest.Server) (host string, s *httptest.Server) {
	t.Helper()
	var at string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/", func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		switch {
		case scheme == "Bearer" && r.Header.Get("Authorization") == "Bearer pass", scheme == "Basic" && user == "jill" && pass == "secret":
			return
		case scheme == "Bearer":
			w.Header().Add("WWW-Authenticate", `Bearer realm="`+at+`/token?of=us",service="reg"`)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="reg"`)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		byName := r.Method == http.MethodGet && user == "jill" && pass == "secret" && r.FormValue("offline_token") == "true"
		byToken := r.Method == http.MethodPost && r.PostFormValue("grant_type") == "refresh_token" && r.PostFormValue("refresh_token") == "identity"
		if !byName && !byToken || r.FormValue("service") != "reg" || r.FormValue("of") != "us" || r.FormValue("client_id") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if err := json.NewEncoder(w).Encode(map[string]string{"access_token": "pass", "refresh_token": "identity"}); err != nil {
			t.Error(err)
		}
	})
	s = serve(mux)
	t.Cleanup(s.Close)
	at = s.URL
	_, host, _ = strings.Cut(s.URL, "://")
	return host, s
}

// loginAt logs in with registries listed, or with certificates.
func loginAt(t *testing.T, listed []string, certs, server string, auth wire.RegistryAuth) (string, error) {
	t.Helper()
	registries, err := model.ParseInsecureRegistries(listed)
	if err != nil {
		t.Fatal(err)
	}
	s := images.New(images.Config{Registries: registries, RegistryCerts: certs, Forbidden: func(netip.Addr) bool { return false }})
	return s.Login(context.Background(), model.Account{}, server, auth)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	jill := wire.RegistryAuth{Username: "jill", Password: "secret"}
	for name, c := range map[string]struct {
		scheme   string
		auth     wire.RegistryAuth
		identity string
		refused  bool
	}{
		"a password for a token":       {"Bearer", jill, "identity", false},
		"a wrong password for a token": {"Bearer", wire.RegistryAuth{Username: "jill", Password: "guess"}, "", true},
		"an identity token":            {"Bearer", wire.RegistryAuth{IdentityToken: "identity"}, "identity", false},
		"a wrong identity token":       {"Bearer", wire.RegistryAuth{IdentityToken: "other"}, "", true},
		"a token to show":              {"Bearer", wire.RegistryAuth{RegistryToken: "pass"}, "", false},
		"a wrong token to show":        {"Bearer", wire.RegistryAuth{RegistryToken: "other"}, "", true},
		"nothing for a token":          {"Bearer", wire.RegistryAuth{}, "", true},
		"a password":                   {"Basic", jill, "", false},
		"a wrong password":             {"Basic", wire.RegistryAuth{Username: "jill", Password: "guess"}, "", true},
		"nothing":                      {"Basic", wire.RegistryAuth{}, "", true},
	} {
		for _, serve := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
			host, _ := registry(t, c.scheme, serve)
			for _, server := range []string{host, "https://" + host + "/v1/"} {
				identity, err := loginAt(t, []string{host}, "", server, c.auth)
				if c.refused != model.IsKind(err, model.KindUnauthenticated) || !c.refused && err != nil || identity != c.identity {
					t.Errorf("%s at %s: token %q, error %v", name, server, identity, err)
				}
			}
		}
	}
	host, _ := registry(t, "Bearer", httptest.NewServer)
	if _, err := loginAt(t, []string{"127.0.0.0/8"}, "", host, jill); err != nil {
		t.Errorf("listed by its network: %v", err)
	}
	if _, err := loginAt(t, nil, "", host, jill); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a loopback registry that is not listed: %v", err)
	}
	if _, err := loginAt(t, nil, "", "a b", jill); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("what names no registry: %v", err)
	}
}

// TestLoginRealmsAreGuarded: a registry may not lead the head to where it could
// not go itself, nor credentials to a realm without TLS.
func TestLoginRealmsAreGuarded(t *testing.T) {
	t.Parallel()
	asked := false
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(plain.Close)
	for _, way := range []func(http.ResponseWriter, *http.Request){
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+plain.URL+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, plain.URL, http.StatusTemporaryRedirect)
		},
	} {
		s := httptest.NewTLSServer(http.HandlerFunc(way))
		t.Cleanup(s.Close)
		host := strings.TrimPrefix(s.URL, "https://")
		if _, err := loginAt(t, []string{host}, "", host, wire.RegistryAuth{Username: "jill", Password: "secret"}); err == nil || asked {
			t.Errorf("led from TLS to plain HTTP: error %v, asked %v", err, asked)
		}
	}
}

// TestLoginWithPrivateAuthority: an authority opens no address, and one that
// cannot be read is told without saying where it lies.
func TestLoginWithPrivateAuthority(t *testing.T) {
	t.Parallel()
	host, s := registry(t, "Basic", httptest.NewTLSServer)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, host), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, host, "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	auth := wire.RegistryAuth{Username: "jill", Password: "secret"}
	if _, err := loginAt(t, nil, dir, host, auth); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a private authority opens an address: %v", err)
	}
	if err := os.WriteFile(file, []byte("none"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loginAt(t, nil, dir, host, auth); !model.IsKind(err, model.KindUnavailable) || strings.Contains(model.UserText(err), dir) {
		t.Errorf("certificates that are none: %v", err)
	}
}

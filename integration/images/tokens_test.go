package images

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// refreshToken is the identity token that the token server gives.
const refreshToken = "an-identity-token-of-joe"

// tokenServer gives the tokens that a registry wants, to one user who may do all: the
// protocol is that of registries ("Token Authentication" and "OAuth 2").
type tokenServer struct {
	url    string
	signer *authority

	mu     sync.Mutex
	grants []string // how each token was asked for; guarded by mu
}

const (
	tokenIssuer  = "tests"
	tokenService = "registry-of-tests"
)

// newTokenServer starts one on a host's address, with TLS.
func newTokenServer(t *testing.T, host string, ca *authority) *tokenServer {
	t.Helper()
	s := &tokenServer{signer: ca}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.Listener.Close()
	server.Listener = listener
	server.TLS = tlsOf(t, ca, host)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.url = server.URL + "/token"
	return s
}

// ServeHTTP implements http.Handler.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	grant, known := "anonymous", false
	if r.Method == http.MethodPost {
		grant = r.PostFormValue("grant_type")
		known = grant == "refresh_token" && r.PostFormValue("refresh_token") == refreshToken ||
			grant == "password" && r.PostFormValue("username") == user && r.PostFormValue("password") == password
	} else if name, secret, ok := r.BasicAuth(); ok {
		grant, known = "basic", name == user && secret == password
	}
	s.mu.Lock()
	s.grants = append(s.grants, grant)
	s.mu.Unlock()
	if grant != "anonymous" && !known {
		http.Error(w, `{"details":"incorrect username or password"}`, http.StatusUnauthorized)
		return
	}
	var access []any
	if known {
		access = accessTo(append(r.URL.Query()["scope"], strings.Fields(r.PostFormValue("scope"))...))
	}
	token, err := s.sign(access)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer := map[string]any{"token": token, "access_token": token, "expires_in": 300}
	if known && (r.URL.Query().Get("offline_token") == "true" || r.PostFormValue("access_type") == "offline") {
		answer["refresh_token"] = refreshToken
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// accessTo reads scopes: repository:NAME:ACTION,ACTION.
func accessTo(scopes []string) []any {
	var access []any
	for _, scope := range scopes {
		kind, rest, _ := strings.Cut(scope, ":")
		end := strings.LastIndex(rest, ":")
		if end < 0 {
			continue
		}
		access = append(access, map[string]any{"type": kind, "name": rest[:end], "actions": strings.Split(rest[end+1:], ",")})
	}
	return access
}

// sign makes a JSON web token (RFC 7519) with the certificate of its key in it.
func (s *tokenServer) sign(access []any) (string, error) {
	header := map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.signer.certificate.Raw)}}
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": tokenIssuer, "aud": tokenService, "sub": user, "access": access,
		"iat": now, "nbf": now - 60, "exp": now + 300, "jti": fmt.Sprint(time.Now().UnixNano()),
	}
	var parts []string
	for _, part := range []any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	hash := sha256.Sum256([]byte(strings.Join(parts, ".")))
	r, v, err := ecdsa.Sign(rand.Reader, s.signer.key, hash[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), "."), nil
}

// asked tells how tokens were asked for so far.
func (s *tokenServer) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.grants...)
}

package cloudapi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/model"
)

type signer struct {
	name      string
	key       crypto.Signer
	algorithm string
}

func signers(t *testing.T) []signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []signer{{"rsa", r, "rsa-sha256"}, {"ecdsa", e, "ecdsa-sha256"}, {"ecdsa called rsa", e, "rsa-sha256"}, {"ed25519", ed, "ed25519-sha512"}}
}

func (s signer) stored(t *testing.T) model.Key {
	t.Helper()
	public, err := ssh.NewPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return model.Key{
		Name: "laptop", Public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))),
		SHA256: ssh.FingerprintSHA256(public), MD5: ssh.FingerprintLegacyMD5(public),
	}
}

func (s signer) sign(t *testing.T, text string) string {
	t.Helper()
	digest, opts := []byte(text), crypto.SignerOpts(crypto.Hash(0))
	if _, raw := s.key.(ed25519.PrivateKey); !raw {
		sum := sha256.Sum256(digest)
		digest, opts = sum[:], crypto.SHA256
	}
	value, err := s.key.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(value)
}

// legacy is a request as Triton's shell script makes it.
func (s signer) legacy(t *testing.T, path, keyID string, at time.Time) *http.Request {
	r := httptest.NewRequest("GET", "https://dc1.test:2376"+path, nil)
	r.Header.Set("Date", at.UTC().Format(http.TimeFormat))
	r.Header.Set("Authorization", fmt.Sprintf(`Signature keyId="/jill/keys/%s",algorithm="%s" %s`, keyID, s.algorithm, s.sign(t, r.Header.Get("Date"))))
	return r
}

// standard is a request as Triton's command line makes it.
func (s signer) standard(t *testing.T, path, keyID string, at time.Time) *http.Request {
	r := httptest.NewRequest("GET", "https://dc1.test:2376"+path, nil)
	r.Header.Set("Date", at.UTC().Format(http.TimeFormat))
	text := "(request-target): get " + path + "\ndate: " + r.Header.Get("Date")
	r.Header.Set("Authorization", fmt.Sprintf(`Signature keyId="/jill/keys/%s",algorithm="%s",headers="(request-target) date",signature="%s"`, keyID, s.algorithm, s.sign(t, text)))
	return r
}

func TestSetUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, s := range signers(t) {
		key := s.stored(t)
		h := New(Config{
			Account: func(login string) (model.Account, bool) {
				return model.Account{ID: "1", Login: "jill", Keys: []model.Key{key}}, login == "jill"
			},
			Hosts: []string{"10.0.0.1", "dc1.test"}, Port: "2376", Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
		}, http.NotFoundHandler())
		get := func(r *http.Request) (int, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		const services = `{"cloudapi":"https://dc1.test:2376","docker":"tcp://dc1.test:2376"}` + "\n"
		tampered := s.standard(t, "/--ping", key.MD5, now)
		tampered.URL.Path = "/jill/services"
		for _, tc := range []struct {
			what   string
			r      *http.Request
			status int
			body   string
		}{
			{"unsigned ping", httptest.NewRequest("GET", "/--ping", nil), 200, ""},
			{"signed ping", s.legacy(t, "/--ping", key.MD5, now), 200, ""},
			{"services, old form", s.legacy(t, "/jill/services", key.MD5, now), 200, services},
			{"services, new form", s.standard(t, "/jill/services", key.MD5, now), 200, services},
			{"by SHA256", s.standard(t, "/jill/services", key.SHA256, now), 200, services},
			{"by name", s.standard(t, "/my/services", "laptop", now), 200, services},
			{"unknown key", s.legacy(t, "/--ping", "00:11", now), 401, "InvalidCredentials"},
			{"skew", s.legacy(t, "/--ping", key.MD5, now.Add(-10*time.Minute)), 401, "seconds off"},
			{"another's services", s.standard(t, "/jack/services", key.MD5, now), 403, "NotAuthorized"},
			{"signed for another path", tampered, 401, "does not match"},
			{"unsigned services", httptest.NewRequest("GET", "/jill/services", nil), 401, "InvalidCredentials"},
			{"docker's services", s.legacy(t, "/v1.48/services", key.MD5, now), 404, ""},
			{"anything else", s.legacy(t, "/jill/machines", key.MD5, now), 404, ""},
		} {
			status, body := get(tc.r)
			if status != tc.status || !strings.Contains(body, tc.body) {
				t.Errorf("%s, %s: got %d %q, want %d %q", s.name, tc.what, status, body, tc.status, tc.body)
			}
		}
	}
}

func FuzzSignature(f *testing.F) {
	f.Add(`Signature keyId="/jill/keys/aa:bb",algorithm="rsa-sha256" AAAA`)
	f.Add(`Signature keyId="/jill/keys/aa:bb",algorithm="rsa-sha256",headers="(request-target) date",signature="AAAA"`)
	f.Fuzz(func(t *testing.T, header string) {
		s, err := parseSignature(header)
		if err == nil && (s.login == "" || s.key == "" || len(s.value) == 0) {
			t.Errorf("accepted %q as %+v", header, s)
		}
		_, _ = s.text(httptest.NewRequest("GET", "/--ping", nil)) // must not panic
	})
}

package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
)

// user is somebody with an SSH key.
type user struct {
	signer ssh.Signer
	key    model.Key
}

func newUser(t testing.TB) user {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := clientcert.ParseKey(string(ssh.MarshalAuthorizedKey(signer.PublicKey())), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return user{signer, key}
}

// request is one with a client certificate that the user made.
func (u user) request(t testing.TB, login string, made time.Time) *http.Request {
	t.Helper()
	pair, err := clientcert.Generate(login, u.signer, made, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pair.Certificate)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	jill, jack := newUser(t), newUser(t)
	accounts := map[string]model.Account{
		"jill": {ID: "1", Login: "jill", Keys: []model.Key{jill.key}},
		"jack": {ID: "2", Login: "jack", Keys: []model.Key{jack.key}},
	}
	a := New(func(login string) (model.Account, bool) { acc, ok := accounts[login]; return acc, ok }, func() time.Time { return now })
	refused := func(what string, r *http.Request, text string) {
		t.Helper()
		_, err := a.Authenticate(r)
		if !model.IsKind(err, model.KindUnauthenticated) || !strings.Contains(model.UserText(err), text) {
			t.Errorf("%s: error %v, want %q", what, err, text)
		}
	}
	refused("no certificate", &http.Request{TLS: &tls.ConnectionState{}}, "client certificate is needed")
	refused("jack as jill", jack.request(t, "jill", now), jack.key.SHA256)
	refused("nobody", jack.request(t, "nobody", now), jack.key.SHA256)
	refused("expired", jill.request(t, "jill", now.Add(-2*time.Hour)), "Client certificate expired")

	r := jill.request(t, "jill", now)
	for range 2 { // by signature, then from memory
		if acc, err := a.Authenticate(r); err != nil || acc.ID != "1" {
			t.Fatalf("account %q, error %v", acc.ID, err)
		}
	}
	accounts["jill"] = model.Account{ID: "1", Login: "jill"}
	refused("key removed", r, "does not have")
	accounts["jill"] = model.Account{ID: "1", Login: "jill", Keys: []model.Key{jack.key}}
	refused("key replaced", r, "does not have")
	accounts["jill"] = model.Account{ID: "3", Login: "jill", Keys: []model.Key{jack.key}}
	refused("another account of that login", r, "does not have")
	accounts["jill"] = model.Account{ID: "1", Login: "jill", Keys: []model.Key{jill.key}}
	if _, err := a.Authenticate(r); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	refused("expired since it was remembered", r, "Client certificate expired")
}

func BenchmarkAuthenticate(b *testing.B) {
	jill := newUser(b)
	acc := model.Account{ID: "1", Login: "jill", Keys: []model.Key{jill.key}}
	a := New(func(string) (model.Account, bool) { return acc, true }, time.Now)
	r := jill.request(b, "jill", time.Now())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

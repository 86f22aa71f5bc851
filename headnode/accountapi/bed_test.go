package accountapi_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/auth"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// bed is a data center behind TLS, as accounts reach it.
type bed struct {
	*headtest.Center
	t      *testing.T
	server *httptest.Server
}

// elsewhere is what the server answers to paths that are not the package's.
const elsewhere = http.StatusTeapot

func newBed(t *testing.T) *bed {
	t.Helper()
	c := headtest.New(t, 0)
	c.AddNode("one", func(i *model.NodeInfo) { i.VolumeQuota = true })
	byLogin := func(login string) (model.Account, bool) { return c.Store.View().AccountByLogin(login) }
	b := &bed{Center: c, t: t}
	b.server = httptest.NewUnstartedServer(accountapi.New(accountapi.Config{
		Auth: auth.New(byLogin, time.Now), Store: c.Store, Volumes: c.Volumes, Networks: c.Networks, Logger: slog.New(slog.DiscardHandler),
	}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(elsewhere) })))
	b.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	b.server.StartTLS()
	t.Cleanup(b.server.Close)
	return b
}

// person is somebody with an account and the key of it.
type person struct {
	*accountapi.Client
	account model.Account
	key     model.Key
	web     *http.Client // the same, for what Client does not say
}

// join makes an account with a key.
func (b *bed) join(login string) person {
	b.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		b.t.Fatal(err)
	}
	key, err := clientcert.ParseKey(string(ssh.MarshalAuthorizedKey(signer.PublicKey())), time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	p := person{account: b.Account(login, model.PolicyTenant), key: key}
	key.Name = "laptop"
	b.Propose(command.AddKey{AccountID: p.account.ID, Key: key})
	pair, err := clientcert.Generate(login, signer, time.Now(), time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		b.t.Fatal(err)
	}
	p.Client, p.web = b.clients(certificate)
	return p
}

// clients are those that prove to be who the certificates say.
func (b *bed) clients(certificates ...tls.Certificate) (*accountapi.Client, *http.Client) {
	roots := x509.NewCertPool()
	roots.AddCert(b.server.Certificate())
	config := &tls.Config{Certificates: certificates, RootCAs: roots, MinVersion: tls.VersionTLS12}
	transport := &http.Transport{TLSClientConfig: config.Clone()}
	client := accountapi.NewClient(b.server.URL, config)
	b.t.Cleanup(func() {
		client.Close()
		transport.CloseIdleConnections()
	})
	return client, &http.Client{Transport: transport}
}

func wantKind(t *testing.T, err error, kind model.Kind, part string) {
	t.Helper()
	if !model.IsKind(err, kind) || !strings.Contains(model.UserText(err), part) {
		t.Errorf("got %v, want kind %s with %q", err, kind, part)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

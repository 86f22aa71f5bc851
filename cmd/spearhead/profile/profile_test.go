package profile

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
)

// dataCenter is a Docker endpoint that knows one account by its keys.
type dataCenter struct {
	url   string
	ca    []byte
	login string
	keys  []model.Key
	clock time.Duration // how far its clock is from ours
}

func newDataCenter(t *testing.T, login string, keys ...ssh.PublicKey) *dataCenter {
	t.Helper()
	dc := &dataCenter{login: login}
	for _, key := range keys {
		known, err := clientcert.ParseKey(string(ssh.MarshalAuthorizedKey(key)), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		dc.keys = append(dc.keys, known)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(dc.serve))
	certificate, ca := newServerCertificate(t)
	dc.ca = ca
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	dc.url = server.URL
	return dc
}

func (dc *dataCenter) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", time.Now().Add(dc.clock).UTC().Format(http.TimeFormat))
	switch r.URL.Path {
	case "/_ping":
		_, _ = io.WriteString(w, "OK")
	case "/ca.pem":
		_, _ = w.Write(dc.ca)
	case "/info":
		if err := dc.authenticate(r.TLS.PeerCertificates); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
			return
		}
		_, _ = io.WriteString(w, "{}")
	default:
		http.NotFound(w, r)
	}
}

func (dc *dataCenter) authenticate(peers []*x509.Certificate) error {
	if len(peers) == 0 || peers[0].Subject.CommonName != dc.login {
		return errors.New("unknown account")
	}
	_, err := clientcert.Verify(peers[0], dc.keys, time.Now())
	return err
}

// newServerCertificate makes a CA, and a certificate for 127.0.0.1 that it signed.
func newServerCertificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "head"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
}

// newStore is a store in a folder of the test's own.
func newStore(t *testing.T) Store {
	t.Helper()
	return Store{Dir: filepath.Join(t.TempDir(), "profiles"), DockerConfig: filepath.Join(t.TempDir(), "docker")}
}

// writeKey writes a private key in OpenSSH's form, or PKCS #8, and returns its path.
func writeKey(t *testing.T, key any, pkcs8 bool, passphrase string) string {
	t.Helper()
	var block *pem.Block
	var err error
	switch {
	case pkcs8:
		var der []byte
		der, err = x509.MarshalPKCS8PrivateKey(key)
		block = &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	case passphrase != "":
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	default:
		block, err = ssh.MarshalPrivateKey(key, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newEd25519(t *testing.T) (ed25519.PrivateKey, ssh.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, publicOf(t, key)
}

func publicOf(t *testing.T, key any) ssh.PublicKey {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey()
}

// setUp creates the profile "work" and sets it up.
func setUp(t *testing.T, store Store, dc *dataCenter, key string, change func(*SetupOptions)) error {
	t.Helper()
	if err := store.Create(Profile{Name: "work", URL: dc.url, Account: "jill", Key: key}); err != nil {
		t.Fatal(err)
	}
	options := SetupOptions{TrustFirstUse: true, Out: io.Discard, Ask: func(string) ([]byte, error) {
		return nil, errors.New("the test has no terminal")
	}}
	if change != nil {
		change(&options)
	}
	_, err := store.Setup(context.Background(), "work", options)
	return err
}

func TestSetupWorksWithEveryKindOfKey(t *testing.T) {
	t.Parallel()
	ed, _ := newEd25519(t)
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key        any
		pkcs8      bool
		passphrase string
	}{
		"ed25519": {key: ed}, "ecdsa": {key: ec}, "rsa": {key: rsaKey}, "pkcs8": {key: rsaKey, pkcs8: true}, "encrypted": {key: ed, passphrase: "open sesame"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newStore(t)
			dc := newDataCenter(t, "jill", publicOf(t, test.key))
			err := setUp(t, store, dc, writeKey(t, test.key, test.pkcs8, test.passphrase), func(o *SetupOptions) {
				o.Ask = func(string) ([]byte, error) { return []byte(test.passphrase), nil }
			})
			if err != nil {
				t.Fatal(err)
			}
			assertModes(t, store.folder("work"))
		})
	}
}

// assertModes fails the test if anybody but the user may read a file of the profile.
func assertModes(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem", "env.sh"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, error %v; want 0600", name, info.Mode().Perm(), err)
		}
	}
}

func TestSetupWithAKeyOfTheAgent(t *testing.T) {
	key, public := newEd25519(t)
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(keyring, connection) // one client at a time; ends with its connection
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
	for _, name := range fingerprints(public) {
		store := newStore(t)
		if err := setUp(t, store, newDataCenter(t, "jill", public), name, nil); err != nil {
			t.Errorf("key %s: %v", name, err)
		}
	}
	_, other := newEd25519(t)
	err = setUp(t, newStore(t), newDataCenter(t, "jill", public), ssh.FingerprintSHA256(other), nil)
	if err == nil || !strings.Contains(err.Error(), "does not hold the key") {
		t.Errorf("a key that the agent lacks: error %v", err)
	}
}

func TestSetupSaysWhatFailed(t *testing.T) {
	t.Parallel()
	key, public := newEd25519(t)
	file := writeKey(t, key, false, "")
	stranger, _ := newEd25519(t)
	for name, test := range map[string]struct {
		key    string
		dc     func(*dataCenter)
		change func(*SetupOptions)
		want   []string
	}{
		"not trusted":         {key: file, change: func(o *SetupOptions) { o.TrustFirstUse = false }, want: []string{"not trusted yet", "SHA-256 fingerprint", "--insecure-first-use"}},
		"unknown key":         {key: writeKey(t, stranger, false, ""), want: []string{"account jill", ssh.FingerprintSHA256(publicOf(t, stranger)), "spearhead key add"}},
		"unknown account":     {key: file, dc: func(dc *dataCenter) { dc.login = "jack" }, want: []string{"account jill", "unknown account"}},
		"clock behind":        {key: file, dc: func(dc *dataCenter) { dc.clock = 10 * time.Minute }, want: []string{"seconds behind"}},
		"clock ahead":         {key: file, dc: func(dc *dataCenter) { dc.clock = -10 * time.Minute }, want: []string{"seconds ahead"}},
		"refused":             {key: file, dc: func(dc *dataCenter) { dc.url = "https://127.0.0.1:1" }, want: []string{"connection refused", "127.0.0.1:1"}},
		"no such name":        {key: file, dc: func(dc *dataCenter) { dc.url = "https://nowhere.invalid:2376" }, want: []string{"nowhere.invalid"}},
		"no such key":         {key: "/nonexistent/id", want: []string{"no key file"}},
		"locked, no terminal": {key: writeKey(t, key, false, "secret"), want: []string{"passphrase", "ssh-add"}},
		"wrong passphrase": {key: writeKey(t, key, false, "secret"), want: []string{"does not fit"},
			change: func(o *SetupOptions) { o.Ask = func(string) ([]byte, error) { return []byte("wrong"), nil } }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dc, store := newDataCenter(t, "jill", public), newStore(t)
			if test.dc != nil {
				test.dc(dc)
			}
			err := setUp(t, store, dc, test.key, test.change)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v; want one with %q", err, want)
				}
			}
			if _, err := os.Stat(store.file("work", "cert.pem")); err == nil {
				t.Error("a certificate was written although the set-up failed")
			}
		})
	}
}

func TestRenewalTrustsWhatWasTrusted(t *testing.T) {
	t.Parallel()
	key, public := newEd25519(t)
	dc, store := newDataCenter(t, "jill", public), newStore(t)
	if err := setUp(t, store, dc, writeKey(t, key, false, ""), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Setup(context.Background(), "work", SetupOptions{Out: io.Discard}); err != nil {
		t.Errorf("renewal without a trust flag: %v", err)
	}
}

func TestDockerSeesTheContext(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("needs the docker client: docker context ls")
	}
	key, public := newEd25519(t)
	dc, store := newDataCenter(t, "jill", public), newStore(t)
	if err := setUp(t, store, dc, writeKey(t, key, false, ""), nil); err != nil {
		t.Fatal(err)
	}
	docker := exec.Command("docker", "context", "inspect", "work")
	docker.Env = append(os.Environ(), "DOCKER_CONFIG="+store.DockerConfig)
	out, err := docker.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{strings.Replace(dc.url, "https:", "tcp:", 1), "ca.pem", "cert.pem", "key.pem"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("docker context inspect lacks %q: %s", want, out)
		}
	}
	if err := store.Remove("work"); err != nil {
		t.Fatal(err)
	}
	if out, err := docker.CombinedOutput(); err == nil {
		t.Errorf("docker still sees the context of a removed profile: %s", out)
	}
}

func TestAContextOfTheUsersOwnIsLeftAlone(t *testing.T) {
	t.Parallel()
	key, public := newEd25519(t)
	dc, store := newDataCenter(t, "jill", public), newStore(t)
	meta, _ := store.contextFolders("work")
	if err := os.MkdirAll(meta, 0o700); err != nil {
		t.Fatal(err)
	}
	err := setUp(t, store, dc, writeKey(t, key, false, ""), nil)
	if err == nil || !strings.Contains(err.Error(), "docker context rm work") {
		t.Errorf("error %v; want one that tells of the other context", err)
	}
}

func TestEnvIsSafeForTheShell(t *testing.T) {
	t.Parallel()
	folder := `/home/o'brien $(touch pwned) "x"`
	shell := exec.Command("sh", "-c", env("work", "tcp://h:2376", folder)+`printf %s "$DOCKER_CERT_PATH"`)
	out, err := shell.Output()
	if err != nil || string(out) != folder {
		t.Errorf("the shell understood %q, error %v; want %q", out, err, folder)
	}
}

func TestCreateRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	good := Profile{Name: "work", URL: "https://dc:2376", Account: "jill", Key: "id"}
	for want, change := range map[string]func(*Profile){
		"cannot name a profile":         func(p *Profile) { p.Name = "../x" },
		"is not the URL":                func(p *Profile) { p.URL = "tcp://dc:2376" },
		"invalid account":               func(p *Profile) { p.Account = "" },
		"a profile needs a key":         func(p *Profile) { p.Key = "" },
		"https://HOST:PORT":             func(p *Profile) { p.URL = "https://dc" },
		"not the word default":          func(p *Profile) { p.Name = "default" },
		"is not the URL of a data cent": func(p *Profile) { p.URL = "https://dc:2376/path" },
	} {
		bad := good
		change(&bad)
		if err := store.Create(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v; want one with %q", bad, err, want)
		}
	}
	if err := store.Create(good); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(good); err == nil {
		t.Error("a profile was made twice")
	}
	profiles, err := store.List()
	if err != nil || !slices.Equal(profiles, []Profile{good}) {
		t.Errorf("profiles %v, error %v", profiles, err)
	}
}

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const dc = "dc-1"

func newCA(t *testing.T, dcID string, now time.Time) *CA {
	t.Helper()
	ca, err := CreateCA(dcID, now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// issue makes an identity that became valid at now.
func issue(t *testing.T, ca *CA, role Role, id string, now time.Time) *Identity {
	t.Helper()
	key, csr, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(csr, role, id, []string{"head.example", "10.0.0.1", "::1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	i, err := NewIdentity(key, cert, ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// shake lets a client and a server meet and returns what each made of it.
func shake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		done <- tls.Server(conn, server).HandshakeContext(t.Context())
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	secure := tls.Client(conn, client)
	if clientErr = secure.HandshakeContext(t.Context()); clientErr == nil {
		// The server judges after the client is done: read its alert or end.
		secure.Read(make([]byte, 1))
	} else {
		conn.Close()
	}
	return clientErr, <-done
}

func TestOnlyTheRightMachinesMeet(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now)
	head := issue(t, ca, RoleHead, "head-1", now)
	node := issue(t, ca, RoleNode, "node-1", now)
	foreign := issue(t, newCA(t, dc, now), RoleHead, "head-1", now)
	elsewhere := issue(t, sameKey(t, ca, "dc-2"), RoleHead, "head-1", now)
	expired := issue(t, newCAWith(t, ca, now.Add(-3*leafLifetime)), RoleHead, "head-1", now.Add(-2*leafLifetime))
	early := issue(t, ca, RoleHead, "head-1", now.Add(time.Hour))

	for _, c := range []struct {
		name           string
		client, server *tls.Config
		ok             bool
	}{
		{"head calls node", head.ClientTLS(RoleNode, "node-1"), node.ServerTLS(RoleHead), true},
		{"head calls some node", head.ClientTLS(RoleNode, ""), node.ServerTLS(RoleHead), true},
		{"head calls head", head.ClientTLS(RoleHead, ""), head.ServerTLS(RoleHead, RoleNode), true},
		{"node calls where only heads may", node.ClientTLS(RoleHead, ""), head.ServerTLS(RoleHead), false},
		{"head calls where only nodes may", head.ClientTLS(RoleHead, ""), head.ServerTLS(RoleNode), false},
		{"head calls where nobody may", head.ClientTLS(RoleHead, ""), head.ServerTLS(), false},
		{"node answers for a head", node.ClientTLS(RoleHead, ""), node.ServerTLS(RoleNode), false},
		{"another node answers", head.ClientTLS(RoleNode, "node-2"), node.ServerTLS(RoleHead), false},
		{"client of another CA", trusting(foreign, head), head.ServerTLS(RoleHead), false},
		{"server of another CA", head.ClientTLS(RoleHead, ""), foreign.ServerTLS(RoleHead), false},
		{"client of another data center", trusting(elsewhere, head), head.ServerTLS(RoleHead), false},
		{"expired client", trusting(expired, head), head.ServerTLS(RoleHead), false},
		{"expired server", head.ClientTLS(RoleHead, ""), trusting(expired, head), false},
		{"client of tomorrow", trusting(early, head), head.ServerTLS(RoleHead), false},
		{"client without a certificate", &tls.Config{InsecureSkipVerify: true}, head.ServerTLS(RoleHead), false},
		{"client with TLS 1.2", old(head.ClientTLS(RoleHead, "")), head.ServerTLS(RoleHead), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clientErr, serverErr := shake(t, c.client, c.server)
			if ok := clientErr == nil && serverErr == nil; ok != c.ok {
				t.Errorf("client: %v, server: %v, want success %v", clientErr, serverErr, c.ok)
			}
		})
	}
}

// trusting is a configuration that shows i's certificate and trusts anybody.
func trusting(i, _ *Identity) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*i.pair.Load()}, InsecureSkipVerify: true, ClientAuth: tls.RequestClientCert}
}

func old(c *tls.Config) *tls.Config {
	c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	return c
}

// sameKey is ca as if it were another data center's.
func sameKey(t *testing.T, ca *CA, dcID string) *CA {
	t.Helper()
	return &CA{dc: dcID, cert: ca.cert, key: ca.key}
}

// newCAWith is ca as it was at an earlier time.
func newCAWith(t *testing.T, ca *CA, at time.Time) *CA {
	t.Helper()
	older := *ca.cert
	older.NotBefore = at
	return &CA{dc: ca.dc, cert: &older, key: ca.key}
}

func TestResumedSessionIsJudgedToo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now)
	head, node := issue(t, ca, RoleHead, "head-1", now), issue(t, ca, RoleNode, "node-1", now)
	server, client := node.ServerTLS(RoleHead), head.ClientTLS(RoleNode, "node-1")
	client.ServerName = "node-1" // the session's key; nothing else looks at it
	if c, s := shake(t, client, server); c != nil || s != nil {
		t.Fatal(c, s)
	}
	later := &Identity{dc: node.dc, role: node.role, id: node.id, roots: node.roots}
	later.pair.Store(node.pair.Load())
	later.now = func() time.Time { return now.Add(2 * leafLifetime) }
	server.VerifyConnection = later.ServerTLS(RoleHead).VerifyConnection
	if _, s := shake(t, client, server); s == nil {
		t.Error("a session was resumed with a certificate that has expired since")
	}
}

func TestSavedFilesComeBackAndAreSecret(t *testing.T) {
	t.Parallel()
	now := time.Now()
	dir := filepath.Join(t.TempDir(), "pki")
	if _, err := LoadCA(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no CA got %v", err)
	}
	ca := newCA(t, dc, now)
	if err := ca.Save(dir); err != nil {
		t.Fatal(err)
	}
	back, err := LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if back.DataCenter() != dc {
		t.Errorf("the CA is that of %q", back.DataCenter())
	}
	key, csr, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := back.Sign(csr, RoleNode, "node-1", nil, now)
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(t.TempDir(), "identity")
	if err := Save(mine, key, cert, ca.Certificate()); err != nil {
		t.Fatal(err)
	}
	i, err := Load(mine)
	if err != nil {
		t.Fatal(err)
	}
	if i.ID() != "node-1" || i.Role() != RoleNode || i.DataCenter() != dc || i.Expires().Before(now) {
		t.Errorf("got %s %s of %s until %s", i.Role(), i.ID(), i.DataCenter(), i.Expires())
	}
	for _, d := range []string{dir, mine} {
		checkModes(t, d)
	}
	if err := Save(mine, key, cert, newCA(t, dc, now).Certificate()); err == nil {
		t.Error("an identity was saved with a CA that did not sign it")
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequestsAreSignedForWhatTheCASaysOnly(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now)
	_, csr, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	damaged := []byte(strings.Replace(string(csr), "A", "B", 3))
	for _, c := range []struct {
		name  string
		csr   []byte
		role  Role
		id    string
		hosts []string
	}{
		{"not PEM", []byte("hello"), RoleNode, "n", nil},
		{"damaged", damaged, RoleNode, "n", nil},
		{"two requests", append(csr, csr...), RoleNode, "n", nil},
		{"a certificate", ca.Certificate(), RoleNode, "n", nil},
		{"unknown role", csr, "king", "n", nil},
		{"no id", csr, RoleNode, "", nil},
		{"id with a slash", csr, RoleNode, "a/b", nil},
		{"id with an escape", csr, RoleNode, "a%2fb", nil},
		{"bad host", csr, RoleNode, "n", []string{"a b"}},
	} {
		if _, err := ca.Sign(c.csr, c.role, c.id, c.hosts, now); err == nil {
			t.Errorf("%s: signed", c.name)
		}
	}
}

func TestDockerEndpoint(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now)
	hosts := []string{"docker.example", "127.0.0.1"}
	key, cert, err := ca.SignServer(hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := DockerTLS(ca, hosts)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Certificate())
	for _, c := range []struct {
		name   string
		client *tls.Config
		ok     bool
	}{
		{"by name", &tls.Config{RootCAs: roots, ServerName: "docker.example"}, true},
		{"by address", &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}, true},
		{"TLS 1.2", &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12}, true},
		{"by another name", &tls.Config{RootCAs: roots, ServerName: "other.example"}, false},
		{"TLS 1.1", &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"HTTP/2 only", &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}}, false},
	} {
		clientErr, serverErr := shake(t, c.client, server)
		if ok := clientErr == nil && serverErr == nil; ok != c.ok {
			t.Errorf("%s: client: %v, server: %v", c.name, clientErr, serverErr)
		}
	}
	if _, err := NewIdentity(key, cert, ca.Certificate()); err == nil {
		t.Error("the endpoint's certificate was taken for a machine's identity")
	}
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if before := now.Sub(leaf.NotBefore); before < backdate || before > backdate+time.Minute {
		t.Errorf("the certificate is valid from %s before now", before)
	}
}

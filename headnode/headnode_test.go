package headnode_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/headnode"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/nodes/nodestest"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
	"github.com/spearheadcloud/spearhead/wire"
)

func config(t *testing.T) headnode.Config {
	dir := t.TempDir()
	return headnode.Config{
		Name: "head-1", DataCenter: "test", StateDir: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "head.sock"),
		DockerListen: testaddr.Free(t), RaftListen: testaddr.Free(t), PeerListen: testaddr.Free(t), GossipListen: testaddr.Free(t), Advertise: []string{"127.0.0.1"},
		Version: "0.0-test", Logger: slog.New(slog.DiscardHandler),
	}
}

// run starts a head and returns its operator's client and a way to stop it.
func run(t *testing.T, cfg headnode.Config) (*adminapi.Client, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- headnode.Run(ctx, cfg) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("head ended with %v", err)
			}
		case <-time.After(2 * time.Minute):
			t.Error("head does not stop")
		}
	}
	t.Cleanup(stop)
	client := adminapi.NewClient(cfg.Socket)
	t.Cleanup(client.Close)
	until(t, "the head leads", func() bool {
		s, err := client.Status(t.Context())
		return err == nil && s.IsLeader
	})
	return client, stop
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := headtest.Context(t); !cond(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// enrol puts a node in memory behind the real wire with a real certificate.
func enrol(t *testing.T, admin *adminapi.Client, agent *nodestest.Agent) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	e, err := admin.EnrollNode(t.Context(), adminapi.EnrollRequest{Name: "node-1", Address: l.Addr().String(), CSR: csr})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := pki.NewIdentity(key, e.Certificate, e.CA)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.GossipKeys) != 1 || len(e.GossipJoin) == 0 || e.Label == "" {
		t.Errorf("incomplete enrolment: %d keys, join %v, label %q", len(e.GossipKeys), e.GossipJoin, e.Label)
	}
	server := &http.Server{Handler: wire.NewHandler(agent, slog.New(slog.DiscardHandler))}
	go server.Serve(tls.NewListener(l, identity.ServerTLS(pki.RoleHead)))
	t.Cleanup(func() { server.Close() })
}

// user makes an account with a key and returns its HTTPS client.
func user(t *testing.T, admin *adminapi.Client, login string) (*http.Client, model.Key) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateAccount(t.Context(), login, model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	stored, err := admin.AddKey(t.Context(), login, "laptop", string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	if err != nil {
		t.Fatal(err)
	}
	made, err := clientcert.Generate(login, signer, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(made.Certificate, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, // the test that the CA is right is TestCA
	}}}
	t.Cleanup(client.CloseIdleConnections)
	return client, stored
}

func call(t *testing.T, c *http.Client, method, url string, in any) (int, string) {
	t.Helper()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(headtest.Context(t), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func network(t *testing.T, admin *adminapi.Client) {
	t.Helper()
	_, err := admin.PutNetwork(t.Context(), model.Network{
		Name: "external", Kind: model.NetworkExternal, NICTag: "external", Default: true, Subnet: netip.MustParsePrefix("10.88.0.0/24"),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHeadEndToEnd(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	if err := headnode.Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	admin, stop := run(t, cfg)
	agent := nodestest.New()
	agent.Publish(headtest.Busybox, headtest.Image("busybox"))
	enrol(t, admin, agent)
	network(t, admin)
	jill, key := user(t, admin, "jill")
	until(t, "the head is ready", func() bool {
		s, err := admin.Status(t.Context())
		return err == nil && s.Ready
	})

	url := "https://" + cfg.DockerListen
	want := func(status int, contains, method, path string, in any) string {
		t.Helper()
		got, body := call(t, jill, method, url+path, in)
		if got != status || !strings.Contains(body, contains) {
			t.Fatalf("%s %s: got %d %s, want %d with %q", method, path, got, body, status, contains)
		}
		return body
	}
	want(200, "OK", "GET", "/_ping", nil)
	want(404, "No such image: busybox:latest", "POST", "/v1.44/containers/create?name=web", map[string]any{"Image": "busybox"})
	want(200, "Pull complete", "POST", "/v1.44/images/create?fromImage=busybox&tag=latest", nil)
	want(201, `"Id"`, "POST", "/v1.44/containers/create?name=web", map[string]any{"Image": "busybox", "Cmd": []string{"sleep", "9"}})
	want(204, "", "POST", "/v1.44/containers/web/start", nil)
	want(304, "", "POST", "/v1.44/containers/web/start", nil)
	want(200, "10.88.0.2", "GET", "/v1.44/containers/web/json", nil)
	want(200, "jill", "GET", "/v1.44/info", nil)
	want(403, "HostConfig.Privileged", "POST", "/v1.44/containers/create", map[string]any{"Image": "busybox", "HostConfig": map[string]any{"Privileged": true}})

	stop()
	admin, _ = run(t, cfg)
	until(t, "the node is connected again", func() bool {
		s, err := admin.Status(t.Context())
		return err == nil && s.Ready
	})
	want(200, `"running"`, "GET", "/v1.44/containers/web/json", nil)
	want(204, "", "DELETE", "/v1.44/containers/web?force=1", nil)

	// The connection stays open; the door shuts.
	if err := admin.RemoveKey(t.Context(), "jill", key.SHA256); err != nil {
		t.Fatal(err)
	}
	want(401, key.SHA256, "GET", "/v1.44/containers/json", nil)
	want(200, "OK", "GET", "/_ping", nil)
}

func TestCA(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	if err := headnode.Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	run(t, cfg)
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer insecure.CloseIdleConnections()
	status, ca := call(t, insecure, "GET", "https://"+cfg.DockerListen+"/ca.pem", nil)
	roots := x509.NewCertPool()
	if status != 200 || !roots.AppendCertsFromPEM([]byte(ca)) {
		t.Fatalf("status %d, body %q", status, ca)
	}
	strict := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer strict.CloseIdleConnections()
	if status, _ := call(t, strict, "GET", "https://"+cfg.DockerListen+"/_ping", nil); status != 200 {
		t.Errorf("status %d", status)
	}
	if status, body := call(t, strict, "GET", "https://"+cfg.DockerListen+"/containers/json", nil); status != 401 {
		t.Errorf("without a certificate: %d %s", status, body)
	}
	if status, _ := call(t, strict, "GET", "https://"+cfg.DockerListen+"/--ping", nil); status != 200 {
		t.Errorf("CloudAPI's ping: %d", status)
	}
}

func TestInitRefusesASecondHead(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	if err := headnode.Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := headnode.Init(t.Context(), cfg); !model.IsKind(err, model.KindConflict) {
		t.Errorf("second init: %v", err)
	}
	err := filepath.WalkDir(cfg.StateDir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if mode := info.Mode().Perm(); err == nil && mode&0o077 != 0 && !strings.HasSuffix(path, ".pem") {
			return fmt.Errorf("%s has mode %o", path, mode)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSocketIsForRootOnly(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	if err := headnode.Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	admin, stop := run(t, cfg)
	info, err := os.Stat(cfg.Socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, error %v", info.Mode(), err)
	}
	if _, err := admin.CreateAccount(t.Context(), "no spaces", ""); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("bad login: %v", err)
	}
	if err := admin.RemoveAccount(t.Context(), "nobody"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("unknown account: %v", err)
	}
	until(t, "there are packages to begin with", func() bool {
		packages, err := admin.Packages(t.Context())
		return err == nil && len(packages) > 0
	})
	stop()
	if _, err := os.Stat(cfg.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

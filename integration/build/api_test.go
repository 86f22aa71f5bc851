package build

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/filesync"
	"github.com/tonistiigi/fsutil"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// engine is the data center's API, called without a docker client.
type engine struct {
	address string // HOST:PORT
	tls     *tls.Config
	client  *http.Client
}

func newEngine(t *testing.T, b *bed.Bed) *engine {
	t.Helper()
	dir := b.Setting("DOCKER_CERT_PATH")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &engine{strings.TrimPrefix(b.Setting("DOCKER_HOST"), "tcp://"), config, &http.Client{Transport: transport}}
}

// post calls the API and returns its whole answer.
func (e *engine) post(ctx context.Context, path string, body io.Reader) (status int, answer string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+e.address+"/v1.41"+path, body)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/x-tar")
	response, err := e.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// TestABuildIsCancelledByItsID cancels a build of the older API in the middle of a step.
func TestABuildIsCancelledByItsID(t *testing.T) {
	b := builders(t)[0]
	e := newEngine(t, b.bed)
	const mark = "4321.75"
	var dockerContext bytes.Buffer
	w := tar.NewWriter(&dockerContext)
	text := "FROM " + b.bed.Image + "\nRUN sleep " + mark + "\n"
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(text))}), writeAll(w, text), w.Close()); err != nil {
		t.Fatal(err)
	}
	type result struct {
		answer string
		err    error
	}
	ended := make(chan result, 1)
	go func() {
		_, answer, err := e.post(t.Context(), "/build?buildid=the-one&nocache=1", &dockerContext)
		ended <- result{answer, err}
	}()
	bed.Eventually(t, func() error {
		if !sleeps(mark) {
			return errors.New("the step has not begun")
		}
		return nil
	})
	// Another build's id is no error, and ends nothing.
	for _, id := range []string{"another-one", "the-one"} {
		if status, answer, err := e.post(t.Context(), "/build/cancel?id="+id, nil); err != nil || status != http.StatusOK {
			t.Errorf("cancelling %s: status %d, error %v: %s", id, status, err, answer)
		}
		if id == "another-one" && !sleeps(mark) {
			t.Error("cancelling another build ended this one")
		}
	}
	if r := <-ended; r.err != nil || !strings.Contains(r.answer, `"error"`) || strings.Contains(r.answer, "Successfully built") {
		t.Errorf("the cancelled build ends with %v: %s", r.err, r.answer)
	}
	bed.Eventually(t, func() error {
		if sleeps(mark) {
			return errors.New("the step goes on")
		}
		return nil
	})
}

func writeAll(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

// TestBuildsAsDockersOfBuildKitsFirstYearsAskForThem has a build with version=2, whose context
// is in a session, as the docker clients 18.09 to 22 make them: they bring BuildKit's side of
// the session themselves and read the trace in the answer.
func TestBuildsAsDockersOfBuildKitsFirstYearsAskForThem(t *testing.T) {
	b := builders(t)[0]
	e := newEngine(t, b.bed)
	files, err := fsutil.NewFS(folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nCOPY word /word\nRUN cat /word /word >/words\n", "word": "sesame"}))
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.NewSession(t.Context(), "tests")
	if err != nil {
		t.Fatal(err)
	}
	s.Allow(filesync.NewFSSyncProvider(filesync.StaticDirSource{"context": files, "dockerfile": files}))
	served := make(chan error, 1)
	go func() { served <- s.Run(t.Context(), e.hijack) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	const name = "of-older-clients:1"
	t.Cleanup(func() { b.bed.Client(afterTest(t), "rmi", "-f", name).Run() })
	query := url.Values{"version": {"2"}, "session": {s.ID()}, "remote": {"client-session"}, "buildid": {"abc"}, "t": {name}}
	status, answer, err := e.post(t.Context(), "/build?"+query.Encode(), nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d, error %v: %s", status, err, answer)
	}
	var traced bool
	var id string
	for line := range strings.Lines(answer) {
		var message struct {
			ID    string
			Aux   json.RawMessage
			Error string
		}
		if err := json.Unmarshal([]byte(line), &message); err != nil || message.Error != "" {
			t.Fatalf("%v: %s", err, line)
		}
		switch message.ID {
		case "moby.buildkit.trace":
			traced = true
		case "moby.image.id":
			var made struct{ ID string }
			if err := json.Unmarshal(message.Aux, &made); err != nil {
				t.Error(err)
			}
			id = made.ID
		}
	}
	if have := b.bed.Inspect(t, name, "{{.Id}}"); !traced || id != have {
		t.Errorf("it tells of image %q, and of steps: %t; %s is %s", id, traced, name, have)
	}
	if out := b.bed.Docker(t, "run", "--rm", name, "cat", "/words"); out != "sesamesesame" {
		t.Errorf("it holds %q", out)
	}
}

// hijack opens a session: a connection on which the server asks the client.
func (e *engine) hijack(ctx context.Context, protocol string, meta map[string][]string) (net.Conn, error) {
	conn, err := (&tls.Dialer{Config: e.tls}).DialContext(ctx, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, "https://"+e.address+"/v1.41/session", nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	for name, values := range meta {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", protocol)
	if err := request.Write(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	buffered := bufio.NewReader(conn)
	response, err := http.ReadResponse(buffered, request)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, errors.Join(fmt.Errorf("/session answers %s", response.Status), conn.Close())
	}
	return readAhead{conn, buffered}, nil
}

// readAhead is a connection of which something was read already.
type readAhead struct {
	net.Conn
	buffered *bufio.Reader
}

func (r readAhead) Read(p []byte) (int, error) { return r.buffered.Read(p) }

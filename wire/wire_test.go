package wire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func inMemory(t testing.TB) *wiretest.Agent {
	a := wiretest.NewAgent()
	t.Cleanup(a.Close)
	return a
}

// overHTTP serves an agent and returns a client of it; with TLS as in life.
func overHTTP(t testing.TB, a wire.Agent, encrypted bool) *wire.Client {
	t.Helper()
	server := httptest.NewUnstartedServer(wire.NewHandler(a, slog.New(slog.DiscardHandler)))
	var config *tls.Config
	if encrypted {
		server.Listener = cork.Listener{Listener: server.Listener}
		server.Config.ConnContext = cork.With
		server.TLS = &tls.Config{DynamicRecordSizingDisabled: true}
		server.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		config = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	} else {
		server.Start()
	}
	client := wire.NewClient(server.URL, config)
	t.Cleanup(func() {
		client.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return client
}

func TestContractInMemory(t *testing.T) {
	wiretest.Run(t, func(t *testing.T) wire.Agent { return inMemory(t) })
	wiretest.RunFiles(t, func(t *testing.T) wire.Agent { return inMemory(t) })
}

func TestContractOverHTTP(t *testing.T) {
	wiretest.Run(t, func(t *testing.T) wire.Agent { return overHTTP(t, inMemory(t), false) })
	wiretest.RunFiles(t, func(t *testing.T) wire.Agent { return overHTTP(t, inMemory(t), false) })
}

func TestContractOverTLS(t *testing.T) {
	wiretest.Run(t, func(t *testing.T) wire.Agent { return overHTTP(t, inMemory(t), true) })
	wiretest.RunFiles(t, func(t *testing.T) wire.Agent { return overHTTP(t, inMemory(t), true) })
}

func TestAbandonedCallsEndAndStreamsGoOn(t *testing.T) {
	t.Parallel()
	came := make(chan string, 2)
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/logs") {
			io.WriteString(w, "first ")
			http.NewResponseController(w).Flush()
		}
		came <- r.URL.Path
		<-stop
		if strings.HasSuffix(r.URL.Path, "/logs") {
			io.WriteString(w, "last")
		}
	}))
	defer server.Close()
	c := wire.NewClient(server.URL, nil)
	defer c.Close()
	logs, err := c.Logs(t.Context(), "c", wire.LogsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	<-came
	failed := make(chan error, 1)
	go func() {
		_, err := c.Start(t.Context(), "c")
		failed <- err
	}()
	<-came
	c.Abandon()
	if err := <-failed; !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("an abandoned call: %v", err)
	}
	close(stop)
	if all, err := io.ReadAll(logs); err != nil || string(all) != "first last" {
		t.Errorf("an open stream: %q, %v", all, err)
	}
}

func TestUnreachableNodeIsUnavailable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	client := wire.NewClient("http://"+address, nil)
	defer client.Close()
	_, err = client.Info(t.Context())
	if !model.IsKind(err, model.KindUnavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
	if text := model.UserText(err); strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "try again") {
		t.Errorf("the user reads %q", text)
	}
}

// A node of an older release does not have the calls of later ones.
func TestCallsThatANodeDoesNotKnow(t *testing.T) {
	t.Parallel()
	old := http.NewServeMux()
	old.HandleFunc("PUT /v1/volumes/{id}/settle", func(http.ResponseWriter, *http.Request) {}) // another method
	server := httptest.NewServer(old)
	defer server.Close()
	client := wire.NewClient(server.URL, nil)
	defer client.Close()
	_, info := client.Info(t.Context())
	for what, err := range map[string]error{"info": info, "settle": client.SettleVolume(t.Context(), "v")} {
		if !model.IsKind(err, model.KindNotImplemented) || !strings.Contains(model.UserText(err), "upgrade the node") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestEndOfTheCallersContextIsToldAsSuch(t *testing.T) {
	t.Parallel()
	client := overHTTP(t, inMemory(t), false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Info(ctx); err != context.Canceled {
		t.Errorf("got %v, want the context's own error", err)
	}
}

// secretive is an agent whose errors hold what no user may read.
type secretive struct{ *wiretest.Agent }

func (secretive) Info(context.Context) (model.NodeInfo, error) {
	return model.NodeInfo{}, io.ErrNoProgress
}

func (secretive) Images(context.Context) ([]string, error) {
	return nil, model.WrapError(model.KindExhausted, io.ErrShortWrite, "the node's disk is full; remove an image")
}

func TestCausesStayOnTheNode(t *testing.T) {
	t.Parallel()
	client := overHTTP(t, secretive{inMemory(t)}, false)
	_, err := client.Info(t.Context())
	if !model.IsKind(err, model.KindInternal) || strings.Contains(err.Error(), io.ErrNoProgress.Error()) {
		t.Errorf("got %v, want an internal error without its cause", err)
	}
	_, err = client.Images(t.Context())
	if !model.IsKind(err, model.KindExhausted) || err.Error() != "the node's disk is full; remove an image" {
		t.Errorf("got %v, want the kind and the text, and no cause", err)
	}
}

// TestLostStreamEndsTheWork closes a client's streams and waits until the
// agent's side of each has ended too.
func TestLostStreamEndsTheWork(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		counting := &countingAgent{Agent: inMemory(t)}
		client := overHTTP(t, counting, encrypted)
		r := wiretest.Request()
		if _, err := client.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Start(t.Context(), r.Container.ID); err != nil {
			t.Fatal(err)
		}
		stream, err := client.Attach(t.Context(), r.Container.ID, wire.AttachRequest{Stdin: true, Stdout: true, Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(stream, make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
		if open := counting.open.Load(); open != 1 {
			t.Fatalf("%d streams are open, want 1", open)
		}
		stream.Close()
		if !encrypted {
			// Without TLS a close looks like a half-close until output fails.
			if _, err := client.Remove(t.Context(), r.Container.ID, wire.RemoveRequest{Force: true}); err != nil {
				t.Fatal(err)
			}
		}
		for tick := time.NewTicker(time.Millisecond); counting.open.Load() != 0; {
			select {
			case <-tick.C:
			case <-time.After(10 * time.Second):
				t.Fatal("the agent's stream is still open")
			}
		}
	}
}

type countingAgent struct {
	*wiretest.Agent
	open atomic.Int32
}

func (a *countingAgent) Attach(ctx context.Context, id string, r wire.AttachRequest) (wire.Stream, error) {
	s, err := a.Agent.Attach(ctx, id, r)
	if err != nil {
		return nil, err
	}
	a.open.Add(1)
	return &countingStream{Stream: s, open: &a.open}, nil
}

// countingStream ignores half-closes, as a container does that keeps its input.
type countingStream struct {
	wire.Stream
	open   *atomic.Int32
	closed atomic.Bool
}

func (s *countingStream) CloseWrite() error { return nil }

func (s *countingStream) Close() error {
	if s.closed.CompareAndSwap(false, true) {
		s.open.Add(-1)
	}
	return s.Stream.Close()
}

// TestBadMessagesAreRefused sends what no client sends.
func TestBadMessagesAreRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(wire.NewHandler(inMemory(t), slog.New(slog.DiscardHandler)))
	defer server.Close()
	id := model.NewID()
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"PUT", "/v1/containers/" + id, "{", 400},
		{"PUT", "/v1/containers/" + id, "{}{}", 400},
		{"PUT", "/v1/containers/" + id, "[]", 400},
		{"PUT", "/v1/containers/" + id, "{}", 400},
		{"PUT", "/v1/containers/" + id, `{"container":{"name":"` + strings.Repeat("x", 9<<20) + `"}}`, 413},
		{"POST", "/v1/containers/" + id + "/stop", "", 400},
		{"POST", "/v1/containers/" + id + "/attach", "{}", 400},
		{"GET", "/v2/info", "", 404},
		{"POST", "/v1/info", "", 405},
	} {
		r, err := http.NewRequest(test.method, server.URL+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != test.status {
			t.Errorf("%s %s %.20q: status %d, want %d", test.method, test.path, test.body, resp.StatusCode, test.status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

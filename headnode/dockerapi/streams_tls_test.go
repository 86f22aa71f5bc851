package dockerapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// chatty is a fake whose containers have said something, and ended, when they
// are attached to.
type chatty struct {
	*fake
	says []byte
}

func (c chatty) Attach(context.Context, model.Account, string, wire.AttachRequest) (wire.Stream, error) {
	return message{bytes.NewReader(c.says)}, nil
}

// corked serves as a head does: by TLS, whose records go several at a time.
func corked(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Listener = cork.Listener{Listener: s.Listener}
	s.Config.ConnContext = cork.With
	s.Config.ReadHeaderTimeout = ReadHeaderTimeout
	s.TLS = &tls.Config{DynamicRecordSizingDisabled: true}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// TestNoAttachedClientMissesAnything has many clients attach at once by TLS, on
// connections that were just used for something else, to streams that end at
// once: each gets all, from the first byte on.
func TestNoAttachedClientMissesAnything(t *testing.T) {
	t.Parallel()
	const clients, times = 8, 6
	f := newFake()
	says := bytes.Repeat([]byte("0123456789abcdef"), 9<<10) // more than a relay has in a buffer
	c := f.config()
	c.Containers = chatty{f, says}
	s := corked(t, New(c))
	id := made(t, s, `{"Image":"busybox"}`)
	var running sync.WaitGroup
	defer running.Wait()
	for range clients {
		running.Go(func() {
			for range times {
				if answer, err := s.Client().Get(s.URL + "/_ping"); err != nil {
					t.Error(err)
					return
				} else if err := answer.Body.Close(); err != nil {
					t.Error(err)
				}
				if got, err := attached(t.Context(), s, id); err != nil || !bytes.Equal(got, says) {
					t.Errorf("%d bytes of %d: %v", len(got), len(says), err)
					return
				}
			}
		})
	}
}

// attached is what a client gets that attaches.
func attached(ctx context.Context, s *httptest.Server, id string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/containers/"+id+"/attach?stream=1&stdout=1", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "tcp")
	answer, err := s.Client().Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("attach: %s", answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// TestEachKeyIsAnsweredAtOnce has somebody type, who waits for what comes of each
// key before the next.
func TestEachKeyIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := corked(t, newFake().handler())
	id := made(t, s, `{"Image":"busybox","Cmd":["cat"],"OpenStdin":true,"Tty":true}`)
	conn, in, _ := hijack(t, s, "/containers/"+id+"/attach?stream=1&stdin=1&stdout=1", "", "Upgrade: tcp", "Connection: Upgrade")
	if status, _ := request(t, s, "POST", "/containers/"+id+"/start", ""); status != http.StatusNoContent {
		t.Fatalf("start: %d", status)
	}
	for _, key := range []byte("what is typed by hand") {
		if _, err := conn.Write([]byte{key}); err != nil {
			t.Fatal(err)
		}
		if got, err := in.ReadByte(); got != key || err != nil {
			t.Fatalf("%q came of %q: %v", got, key, err)
		}
	}
}

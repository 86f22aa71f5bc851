package cork_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/cork"
)

// counted counts what is written to a connection, and in how many pieces.
type counted struct {
	net.Conn
	mu     sync.Mutex
	pieces int
	fail   error
	bytes.Buffer
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return 0, c.fail
	}
	c.pieces++
	if c.Conn == nil {
		return c.Buffer.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *counted) Read(p []byte) (int, error) { return c.Conn.Read(p) }

func (c *counted) sent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pieces
}

func TestHeldWritesGoTogether(t *testing.T) {
	t.Parallel()
	to := &counted{}
	c := cork.New(to)
	write := func(p string) {
		t.Helper()
		if n, err := c.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	write("a")
	c.Hold()
	write("b")
	write("c")
	if to.sent() != 1 {
		t.Errorf("held back, %d pieces are sent, want 1", to.sent())
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	write("d")
	if got := to.String(); got != "abcd" || to.sent() != 3 {
		t.Errorf("%q in %d pieces, want abcd in 3", got, to.sent())
	}
	// What is more than is held at all goes at once, in order.
	c.Hold()
	write("e")
	large := string(bytes.Repeat([]byte("f"), 1<<20))
	write(large)
	if got := to.String(); got != "abcde"+large {
		t.Errorf("%d bytes were sent", len(got))
	}
	if err := c.Release(); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeSentIsToldAtTheRelease(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	c := cork.New(&counted{fail: broken})
	c.Hold()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestRecordsOfOneWriteGoTogether has a real TLS connection between a server
// and a client.
func TestRecordsOfOneWriteGoTogether(t *testing.T) {
	t.Parallel()
	const size = 640 << 10
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	var server counted
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		before := server.sent()
		to := cork.NewWriter(conn, cork.Below(conn))
		for part := content; len(part) > 0; part = part[64<<10:] {
			if n, err := to.Write(part[:64<<10]); n != 64<<10 || err != nil {
				t.Error(n, err)
				return
			}
		}
		if pieces := server.sent() - before; pieces > 20 {
			t.Errorf("10 writes of 64 KiB were sent in %d pieces", pieces)
		}
	}))
	s.Listener = cork.Listener{Listener: listener{s.Listener, &server}}
	s.TLS = &tls.Config{DynamicRecordSizingDisabled: true}
	s.StartTLS()
	defer s.Close()
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), s.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes came: %v", len(got), err)
	}
}

// listener counts on its only connection.
type listener struct {
	net.Listener
	to *counted
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.to.mu.Lock()
	defer l.to.mu.Unlock()
	l.to.Conn = conn
	return l.to, nil
}

package cork_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/cork"
)

// sealed is by how much a record of TLS 1.3 is longer than its content: a
// header, a type and a tag (RFC 8446, 5.2).
const sealed = 5 + 1 + 16

// TestReaderTakesAllRecordsThatHaveCome: it waits for the first one, and for no
// other.
func TestReaderTakesAllRecordsThatHaveCome(t *testing.T) {
	t.Parallel()
	below, writer := pair(t)
	from, to := secure(t, below, writer)
	r := cork.NewReader(from, below)
	buffer := make([]byte, 64<<10)
	expect := func(want string) {
		t.Helper()
		if n, err := r.Read(buffer); err != nil || string(buffer[:n]) != want {
			t.Fatalf("read %d bytes: %v; want %d", n, err, len(want))
		}
	}
	send := func(records ...string) {
		t.Helper()
		size := 0
		for _, content := range records {
			if _, err := io.WriteString(to, content); err != nil {
				t.Fatal(err)
			}
			size += len(content) + sealed
		}
		awaitBytes(t, below.Conn.(*net.TCPConn), size)
	}
	send("one ", strings.Repeat("two ", 4000), "three")
	expect("one " + strings.Repeat("two ", 4000) + "three")
	send("alone")
	expect("alone")
	send("longer than what is asked for", "next")
	buffer = buffer[:6]
	expect("longer")
	buffer = buffer[:64<<10]
	expect(" than what is asked fornext")

	// The end behind a record is told by the next read, again and again.
	if _, err := io.WriteString(to, "last"); err != nil {
		t.Fatal(err)
	}
	if err := to.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expect("last")
	for range 2 {
		if n, err := r.Read(buffer); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %d %v", n, err)
		}
	}
}

// secure puts TLS onto a connection, and returns its ends after the handshake.
func secure(t *testing.T, server, client net.Conn) (from, to *tls.Conn) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // for its certificate, and a client that believes it
	s.Close()
	trusting := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.ServerName, trusting.DynamicRecordSizingDisabled = "example.com", true
	from, to = tls.Server(server, s.TLS), tls.Client(client, trusting)
	shaken := make(chan error, 1)
	go func() { shaken <- to.HandshakeContext(t.Context()) }()
	if err := errors.Join(from.HandshakeContext(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	return from, to
}

package headnode

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// silent is a connection that never says anything.
func silent(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refused reports whether the other end has closed the connection.
func refused(t *testing.T, c net.Conn) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	return err != nil
}

func TestP16ConnectionsAreCapped(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	caps := newCaps(l, 3, 2)
	server := &http.Server{ConnState: caps.connState, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})}
	go server.Serve(caps)
	t.Cleanup(func() { server.Close() })
	at := l.Addr().String()

	first, second := silent(t, at), silent(t, at)
	if refused(t, first) || refused(t, second) {
		t.Fatal("two silent connections are allowed")
	}
	if !refused(t, silent(t, at)) {
		t.Error("a third silent connection of one address was let in")
	}
	// The first one speaks: it does not count as silent any more.
	if _, err := io.WriteString(first, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := first.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	if refused(t, silent(t, at)) {
		t.Error("there is a place for another one again")
	}
	if !refused(t, silent(t, at)) {
		t.Error("four connections are open, three are allowed")
	}
}

package headnode

import (
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/spearheadcloud/spearhead/internal/cork"
)

// caps is a listener that bounds the connections that it has accepted: all of
// them, and those of one address that have not finished their handshake. A
// connection beyond is closed at once.
type caps struct {
	net.Listener
	most, mostPending int

	mu      sync.Mutex
	open    int
	pending map[netip.Addr]int
}

func newCaps(l net.Listener, most, mostPending int) *caps {
	return &caps{Listener: l, most: most, mostPending: mostPending, pending: map[netip.Addr]int{}}
}

// Accept implements net.Listener.
func (c *caps) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counted := c.admit(conn); counted != nil {
			return counted, nil
		}
		conn.Close() // the refusal
	}
}

func (c *caps) admit(conn net.Conn) net.Conn {
	from := addressOf(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.most || c.pending[from] >= c.mostPending {
		return nil
	}
	c.open++
	c.pending[from]++
	counted := &countedConn{Conn: cork.New(conn)}
	counted.settle = sync.OnceFunc(func() { c.settle(from) })
	counted.end = sync.OnceFunc(c.end)
	return counted
}

func (c *caps) settle(from netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[from]--; c.pending[from] == 0 {
		delete(c.pending, from)
	}
}

func (c *caps) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

// connState is an http.Server's ConnState: the first byte of a request comes
// after the handshake.
func (c *caps) connState(conn net.Conn, s http.ConnState) {
	if s != http.StateActive {
		return
	}
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	if counted, ok := conn.(*countedConn); ok {
		counted.settle()
	}
}

// countedConn gives its places back when it is closed.
type countedConn struct {
	*cork.Conn
	settle, end func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.settle()
	c.end()
	return c.Conn.Close()
}

func addressOf(conn net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

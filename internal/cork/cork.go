package cork

import (
	"context"
	"io"
	"net"
	"sync"
)

// room is for four records with what TLS adds to each.
const room = 4 * (16<<10 + 256)

var rooms = sync.Pool{New: func() any { return new([room]byte) }}

// Conn is a connection for TLS that can hold back what is written to it, and
// knows whether more is there to be read. Its methods may be called by many
// goroutines at once, but for Read.
type Conn struct {
	net.Conn
	in *intake // nil: what is below cannot be waited for

	mu      sync.Mutex
	holding bool
	room    *[room]byte // nil: nothing is held
	held    int         // bytes in room
}

// New returns conn with a cork, which is open. Nothing was read from it yet.
func New(conn net.Conn) *Conn {
	c := &Conn{Conn: conn}
	if below, ok := conn.(*net.TCPConn); ok {
		if raw, err := below.SyscallConn(); err == nil {
			c.in = &intake{raw: raw}
		}
	}
	return c
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if c.in == nil || len(p) == 0 {
		return c.Conn.Read(p)
	}
	return c.in.read(p)
}

// Ready reports whether a record is there, so that the next read of the TLS
// connection does not wait. False tells nothing. It is for peers that send
// nothing but data once they have begun with it, as crypto/tls does: a record
// that changes keys would be waited behind.
func (c *Conn) Ready() bool { return c.in != nil && c.in.whole.Load() }

// Listener gives each connection that it accepts a cork.
type Listener struct{ net.Listener }

// Accept implements net.Listener.
func (l Listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return New(conn), nil
}

// Write implements net.Conn. What is held back counts as written; that it could
// not be is an error of Release.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.holding || len(p) > room-c.held {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if !c.holding || len(p) > room {
		return c.Conn.Write(p)
	}
	if c.room == nil {
		c.room = rooms.Get().(*[room]byte)
	}
	c.held += copy(c.room[c.held:], p)
	return len(p), nil
}

// Hold has what is written wait for Release, or until it is much.
func (c *Conn) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holding = true
}

// Release sends what was held back, and everything after it at once.
func (c *Conn) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holding = false
	return c.flush()
}

// flush is called with c.mu held.
func (c *Conn) flush() error {
	if c.room == nil {
		return nil
	}
	_, err := c.Conn.Write(c.room[:c.held])
	rooms.Put(c.room)
	c.room, c.held = nil, 0
	return err
}

// Cork is what the connection below a TLS connection can do; a Conn is one.
type Cork interface {
	Hold()
	Release() error
	Ready() bool
}

// Below returns what the connection below conn, which may be nil, can do;
// nothing, if that is no Cork.
func Below(conn net.Conn) Cork {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		if c, ok := t.NetConn().(Cork); ok {
			return c
		}
	}
	return open{}
}

// open is a cork that never closes.
type open struct{}

func (open) Hold()          {}
func (open) Release() error { return nil }
func (open) Ready() bool    { return false }

type connKey struct{}

// With is an http.Server's ConnContext: handlers find the connection's cork.
func With(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, Below(conn))
}

// Of returns the cork of the connection that a request came by.
func Of(ctx context.Context) Cork {
	if c, ok := ctx.Value(connKey{}).(Cork); ok {
		return c
	}
	return open{}
}

// Writer writes with all records of one write together.
type Writer struct {
	to   io.Writer
	cork Cork
}

// NewWriter returns one that writes to what goes to the connection of a cork.
func NewWriter(to io.Writer, c Cork) *Writer { return &Writer{to, c} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.cork.Hold()
	n, err := w.to.Write(p)
	if sendErr := w.cork.Release(); err == nil && sendErr != nil {
		return 0, sendErr
	}
	return n, err
}

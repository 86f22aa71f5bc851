package cork

import (
	"crypto/tls"
	"net"
	"sync"
)

// room is for four records with what TLS adds to each.
const room = 4 * (16<<10 + 256)

var rooms = sync.Pool{New: func() any { return new([room]byte) }}

// Conn is a connection that can hold back what is written to it. Its methods
// may be called by many goroutines at once.
type Conn struct {
	net.Conn

	mu      sync.Mutex
	holding bool
	room    *[room]byte // nil: nothing is held
	held    int         // bytes in room
}

// New returns conn with a cork, which is open.
func New(conn net.Conn) *Conn { return &Conn{Conn: conn} }

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
	if c.holding && len(p) <= room-c.held {
		if c.room == nil {
			c.room = rooms.Get().(*[room]byte)
		}
		c.held += copy(c.room[c.held:], p)
		return len(p), nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
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

// Holder is what below a TLS connection can hold back; a Conn is one.
type Holder interface {
	Hold()
	Release() error
}

// Below returns what can hold back the records of a TLS connection; one that
// does nothing, if there is none.
func Below(conn net.Conn) Holder {
	if t, ok := conn.(*tls.Conn); ok {
		if h, ok := t.NetConn().(Holder); ok {
			return h
		}
	}
	return open{}
}

// open is a cork that never closes.
type open struct{}

func (open) Hold()          {}
func (open) Release() error { return nil }

// Writer writes to a TLS connection with all records of one write together.
type Writer struct {
	conn net.Conn
	cork Holder
}

// NewWriter returns one that writes to conn.
func NewWriter(conn net.Conn) *Writer { return &Writer{conn, Below(conn)} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.cork.Hold()
	n, err := w.conn.Write(p)
	if sendErr := w.cork.Release(); err == nil && sendErr != nil {
		return 0, sendErr
	}
	return n, err
}

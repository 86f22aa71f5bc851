package logship

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tinylib/msgp/msgp"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/logopt"
)

const (
	// patience is how long a server may take nothing before its connection is
	// given up, unless options say otherwise.
	patience = 30 * time.Second
	// dialTime is how long finding and reaching a server may take.
	dialTime = 10 * time.Second
	// silence is how long after a datagram the message comes at the latest that
	// nobody takes it, if it comes.
	silence = 50 * time.Millisecond
)

// server is what a run needs to know to connect.
type server struct {
	logopt.Endpoint
	tls         *tls.Config // nil: none
	acks        bool
	write, read time.Duration // limits of one write, and of waiting for one acknowledgement
}

func newServer(c *logopt.Config) server {
	s := server{write: patience, read: patience}
	switch {
	case c.Syslog != nil:
		s.Endpoint = c.Syslog.Endpoint
		if s.TLS {
			s.tls = &tls.Config{ServerName: s.Host, InsecureSkipVerify: c.Syslog.SkipVerify}
			if c.Syslog.CA != nil {
				s.tls.RootCAs = x509.NewCertPool()
				s.tls.RootCAs.AppendCertsFromPEM(c.Syslog.CA)
			}
		}
	case c.GELF != nil:
		s.Endpoint = c.GELF.Endpoint
	default:
		s.Endpoint, s.acks = c.Fluentd.Endpoint, c.Fluentd.RequestAck
		if s.TLS {
			s.tls = &tls.Config{ServerName: s.Host}
		}
		if c.Fluentd.WriteTimeout > 0 {
			s.write = c.Fluentd.WriteTimeout
		}
		if c.Fluentd.ReadTimeout > 0 {
			s.read = c.Fluentd.ReadTimeout
		}
	}
	return s
}

// A link is a connection to a log server. It knows how much of what it sent
// has arrived.
type link struct {
	server server
	raw    *countedConn
	conn   net.Conn      // raw, or TLS over it
	closed chan struct{} // closed when the server ends the connection or refuses
	marks  []mark
	landed cursor
}

// mark is a place in the log, and how much was sent up to it.
type mark struct {
	at    cursor
	bytes int64
	when  time.Time
}

// countedConn counts what is written.
type countedConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// connect connects to the server through the door. What is sent begins at a
// place in the log.
func connect(ctx context.Context, d *door, s server, at cursor) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	addresses, err := d.resolve(ctx, s.Host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, ip := range addresses {
		conn, err := d.dial(ctx, s.Network, netip.AddrPortFrom(ip, s.Port))
		if err == nil {
			l := &link{server: s, raw: &countedConn{Conn: conn}, closed: make(chan struct{}), landed: at}
			if err = l.secure(ctx); err == nil {
				l.listen()
				return l, nil
			}
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (l *link) secure(ctx context.Context) error {
	l.conn = l.raw
	if l.server.tls == nil {
		return nil
	}
	secure := tls.Client(l.raw, l.server.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		l.raw.Close()
		return fmt.Errorf("cannot secure the connection to %s: %w", l.server, err)
	}
	l.conn = secure
	return nil
}

// listen notes when the server closes the connection; with acknowledgements
// they are read by send.
func (l *link) listen() {
	if l.server.acks {
		return
	}
	go func() {
		defer close(l.closed)
		_, _ = io.Copy(io.Discard, l.conn)
	}()
}

// close ends the connection and waits for what listens. Only a clean end is
// worth a farewell, for which a server that takes nothing is waited for.
func (l *link) close(clean bool) {
	if clean {
		l.conn.Close()
	}
	l.raw.Close()
	if !l.server.acks {
		<-l.closed
	}
}

// send sends a batch that goes up to a place in the log. Ending ctx breaks it
// off.
func (l *link) send(ctx context.Context, b *batch, upTo cursor) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	start := 0
	for _, end := range l.cuts(b) {
		if err := l.conn.SetWriteDeadline(time.Now().Add(l.server.write)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := l.conn.Write(b.bytes[start:end]); err != nil {
			return fmt.Errorf("cannot send: %w", err)
		}
		start = end
	}
	if l.server.acks {
		if err := l.awaitAck(b.ack); err != nil {
			return err
		}
		l.landed = upTo
		return nil
	}
	l.marks = append(l.marks, mark{upTo, l.raw.written.Load(), time.Now()})
	return nil
}

// cuts says where writes end: each message is a datagram, but a stream is one.
func (l *link) cuts(b *batch) []int {
	if l.server.Network == "udp" || len(b.ends) == 0 {
		return b.ends
	}
	return b.ends[len(b.ends)-1:]
}

// awaitAck waits for a map whose member "ack" is the batch's; "" waits for
// nothing.
func (l *link) awaitAck(want string) error {
	if want == "" {
		return nil
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(l.server.read)); err != nil {
		return err
	}
	r := msgp.NewReaderSize(io.LimitReader(l.conn, 4<<10), 512)
	r.SetMaxElements(1 << 10)
	members, err := r.ReadMapHeader()
	for ; err == nil && members > 0; members-- {
		var name, value string
		if name, err = r.ReadString(); err != nil {
			break
		}
		if name != "ack" {
			err = r.Skip()
			continue
		}
		if value, err = r.ReadString(); err == nil && value == want {
			return nil
		}
	}
	if err == nil {
		err = errors.New("it answers something else")
	}
	return fmt.Errorf("the server does not acknowledge: %w", err)
}

// confirmed returns how far the log has arrived at the server's machine.
func (l *link) confirmed() cursor {
	if len(l.marks) == 0 {
		return l.landed
	}
	arrived := l.raw.written.Load() - l.unacknowledged()
	for len(l.marks) > 0 {
		m := l.marks[0]
		if l.server.Network == "udp" && time.Since(m.when) < silence || l.server.Network == "tcp" && m.bytes > arrived {
			break
		}
		l.landed, l.marks = m.at, l.marks[1:]
	}
	return l.landed
}

// unacknowledged returns how many bytes the other machine has not acknowledged.
func (l *link) unacknowledged() int64 {
	socket, ok := l.raw.Conn.(syscall.Conn)
	if !ok || l.server.Network != "tcp" {
		return 0
	}
	conn, err := socket.SyscallConn()
	if err != nil {
		return l.raw.written.Load()
	}
	waiting := int(l.raw.written.Load())
	err = conn.Control(func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			waiting = n
		}
	})
	if err != nil {
		return l.raw.written.Load()
	}
	return int64(waiting)
}

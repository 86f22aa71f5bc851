package cork

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// TLS is a TLS connection that sends all records of one write together.
type TLS struct {
	*tls.Conn
	to *Writer
}

// Dial connects by TLS as conf says, whose ServerName, if it has none, is the
// host in address. The handshake may take so long.
func Dial(ctx context.Context, dialer *net.Dialer, conf *tls.Config, handshake time.Duration, network, address string) (*TLS, error) {
	if conf.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("cannot connect to %s: %w", address, err)
		}
		conf = conf.Clone()
		conf.ServerName = host
	}
	below, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := New(below)
	secured := tls.Client(conn, conf)
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		below.Close()
		return nil, err
	}
	return &TLS{secured, NewWriter(secured, conn)}, nil
}

// Write implements net.Conn.
func (t *TLS) Write(p []byte) (int, error) { return t.to.Write(p) }

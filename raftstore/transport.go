package raftstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/pki"
)

const (
	rpcTimeout       = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	// One request at a time to each head: raft's pipeline stands still for ever
	// when a follower refuses an entry while the next is being sent, and then
	// neither replication to it nor raft's end comes about.
	requestsInFlight = 1
	connectionPool   = 3  // idle connections kept to each head
	maxHandshakes    = 64 // at a time; further connections wait in the kernel
)

func newTransport(ctx context.Context, cfg Config) (transport, error) {
	if cfg.Identity == nil {
		_, t := raft.NewInmemTransport(raft.ServerAddress(cfg.Advertise))
		return t, nil
	}
	layer, err := listen(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          layer,
		MaxRPCsInFlight: requestsInFlight,
		MaxPool:         connectionPool,
		Timeout:         rpcTimeout,
		Logger:          raftLogger(cfg.Logger),
	}), nil
}

// streamLayer is raft's connections in mutual TLS. A peer that is not a head
// of this data center is cut off at the handshake, which happens before raft
// sees the connection.
type streamLayer struct {
	listener  net.Listener
	advertise address
	server    *tls.Config
	client    *tls.Config

	ready chan net.Conn // shaken hands with
	stop  context.CancelFunc
	ctx   context.Context
	wg    sync.WaitGroup
}

// address is what other heads dial.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func listen(ctx context.Context, cfg Config) (*streamLayer, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", cfg.Bind)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for other heads: %w", err)
	}
	layer := &streamLayer{
		listener:  l,
		advertise: address(cfg.Advertise),
		server:    cfg.Identity.ServerTLS(pki.RoleHead),
		client:    cfg.Identity.ClientTLS(pki.RoleHead, ""),
		ready:     make(chan net.Conn),
	}
	if host, port, err := net.SplitHostPort(cfg.Advertise); err == nil && port == "0" {
		_, bound, _ := net.SplitHostPort(l.Addr().String())
		layer.advertise = address(net.JoinHostPort(host, bound))
	}
	layer.ctx, layer.stop = context.WithCancel(context.WithoutCancel(ctx))
	layer.wg.Go(layer.serve)
	return layer, nil
}

func (s *streamLayer) serve() {
	slots := make(chan struct{}, maxHandshakes)
	for {
		conn, err := s.listener.Accept()
		if s.ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			// Out of descriptors, or the peer was gone already.
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		slots <- struct{}{}
		s.wg.Go(func() {
			defer func() { <-slots }()
			s.shake(conn)
		})
	}
}

func (s *streamLayer) shake(conn net.Conn) {
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Server(conn, s.server)
	if secure.HandshakeContext(ctx) != nil {
		conn.Close()
		return
	}
	// raft reads a connection until the other side ends it; ours must not wait
	// for that when it closes.
	end := context.AfterFunc(s.ctx, func() { conn.Close() })
	select {
	case s.ready <- &inbound{secure, end}:
	case <-s.ctx.Done():
		conn.Close()
	}
}

// inbound is a connection that also ends with the streamLayer, until it is
// closed.
type inbound struct {
	net.Conn
	unbind func() bool
}

func (i *inbound) Close() error {
	i.unbind()
	return i.Conn.Close()
}

// Accept implements net.Listener.
func (s *streamLayer) Accept() (net.Conn, error) {
	select {
	case conn := <-s.ready:
		return conn, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (s *streamLayer) Addr() net.Addr { return s.advertise }

// Close implements net.Listener.
func (s *streamLayer) Close() error {
	s.stop()
	err := s.listener.Close()
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Dial implements raft.StreamLayer.
func (s *streamLayer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	d := tls.Dialer{Config: s.client}
	return d.DialContext(ctx, "tcp", string(to))
}

package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// patience is how long one name server has for one question; serversAsked is
// how many are asked before it counts as failed.
const (
	patience     = 2 * time.Second
	serversAsked = 3
)

// Sockets are kept for the next questions, a few of them and not for long:
// where a question comes from should be hard to guess (RFC 5452).
const (
	socketsKept = 4
	socketUses  = 32
)

// Upstream asks name servers from inside of a namespace. It may be used by
// many goroutines at once.
type Upstream struct {
	ns      *os.File
	servers func() []netip.Addr

	mu     sync.Mutex
	idle   map[netip.Addr][]*socket
	closed bool
}

type socket struct {
	*dns.Conn
	uses int
}

// NewUpstream returns an Upstream that lives in the namespace ns, and asks
// those servers that it is told at the time.
func NewUpstream(ns *os.File, servers func() []netip.Addr) (*Upstream, error) {
	fd, err := unix.FcntlInt(ns.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot hold network namespace: %w", err)
	}
	return &Upstream{ns: os.NewFile(uintptr(fd), "network namespace"), servers: servers, idle: map[netip.Addr][]*socket{}}, nil
}

// Close ends all that is kept. Nothing may use u any more.
func (u *Upstream) Close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for _, sockets := range u.idle {
		for _, s := range sockets {
			s.Close()
		}
	}
	u.ns.Close()
}

// exchange asks one server after the other until one answers.
func (u *Upstream) exchange(ctx context.Context, network string, q *dns.Msg) (*dns.Msg, error) {
	servers := u.servers()
	err := errors.New("there is no name server to ask")
	var last *dns.Msg
	for _, server := range servers[:min(len(servers), serversAsked)] {
		var reply *dns.Msg
		if reply, err = u.ask(ctx, network, server, q); err != nil {
			continue
		}
		if reply.Rcode != dns.RcodeServerFailure && reply.Rcode != dns.RcodeRefused {
			return reply, nil
		}
		last = reply
	}
	if last != nil {
		return last, nil
	}
	return nil, err
}

// ask asks one server, under an id of our own.
func (u *Upstream) ask(ctx context.Context, network string, server netip.Addr, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := u.socket(network, server)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })
	asked := q.Copy()
	asked.Id = dns.Id()
	client := &dns.Client{Net: network, Timeout: patience, UDPSize: dns.DefaultMsgSize}
	reply, _, err := client.ExchangeWithConnContext(ctx, asked, s.Conn)
	whole := stop()
	if err != nil || !whole {
		s.Close()
		if err == nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("cannot ask %s: %w", server, err)
	}
	u.keep(network, server, s)
	reply.Id = q.Id
	return reply, nil
}

// socket returns one that is kept, or a new one.
func (u *Upstream) socket(network string, server netip.Addr) (*socket, error) {
	if network == "udp" {
		u.mu.Lock()
		if kept := u.idle[server]; len(kept) > 0 {
			s := kept[len(kept)-1]
			u.idle[server] = kept[:len(kept)-1]
			u.mu.Unlock()
			return s, nil
		}
		u.mu.Unlock()
	}
	var conn net.Conn
	err := namespace.Enter(u.ns, func() (err error) {
		conn, err = (&net.Dialer{Timeout: patience}).Dial(network, netip.AddrPortFrom(server, Port).String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot reach name server: %w", err)
	}
	return &socket{Conn: &dns.Conn{Conn: conn, UDPSize: dns.DefaultMsgSize}}, nil
}

func (u *Upstream) keep(network string, server netip.Addr, s *socket) {
	s.uses++
	u.mu.Lock()
	defer u.mu.Unlock()
	if network != "udp" || s.uses >= socketUses || len(u.idle[server]) >= socketsKept || u.closed {
		s.Close()
		return
	}
	u.idle[server] = append(u.idle[server], s)
}

// ServersOf are the name servers that a file like /etc/resolv.conf names
// (resolv.conf(5)); none if there is no such file.
func ServersOf(path string) (servers []netip.Addr) {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil
	}
	for _, s := range conf.Servers {
		if a, err := netip.ParseAddr(s); err == nil && !slices.Contains(servers, a) {
			servers = append(servers, a)
		}
	}
	return servers
}

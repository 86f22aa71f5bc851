package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// Address is where every container finds its resolver, as with Docker: on its
// loopback, at port 53. A Server listens elsewhere on it, so that containers
// which are name servers have port 53 for themselves; whoever makes the
// container's network leads there.
var Address = netip.MustParseAddr("127.0.0.11")

// Port is that of DNS.
const Port = 53

// Ports are where a Server listens at Address.
type Ports struct {
	UDP uint16 `json:"udp"`
	TCP uint16 `json:"tcp"`
}

// QuestionsPerSecond is how many a container gets answered. Those beyond are
// not, as if they were lost on the way.
const QuestionsPerSecond = 2000

// More limits of what one container gets.
const (
	questionsAtOnce = 128 // that are passed on and not answered yet
	connections     = 16  // by TCP
	idleConnection  = 10 * time.Second
)

// Names is what a container's networks call their members.
type Names interface {
	// Ready reports whether anything is known yet. Until then no question is
	// answered: who asks asks again, while a wrong answer would be believed.
	Ready() bool
	// Lookup returns the addresses of a name, in lower case and without a dot
	// at its end, and whether the name is known at all.
	Lookup(name string) (addresses []netip.Addr, known bool)
	// Reverse returns the name of an address, without a dot at its end.
	Reverse(a netip.Addr) (name string, known bool)
	// Services returns where the service of a name is offered, for names that
	// Lookup knows; none for other names than services'.
	Services(name string) []Service
}

// Service is one place at which a service is offered (RFC 2782).
type Service struct {
	Target                 string // a name that Lookup knows
	Port, Priority, Weight uint16
}

// Config says for whom a Server is.
type Config struct {
	Namespace *os.File // the container's; may be closed after Open
	Names     Names
	// Servers are name servers to pass questions on to, from inside of the
	// container's namespace. Without any, Own is used.
	Servers []netip.Addr
	// Ports are where to listen if they are free, such as those of a Server
	// before this one; 0 is anywhere.
	Ports Ports
	// Own asks the node's name servers; nil passes nothing on.
	Own *Upstream
	// Tally counts the questions.
	Tally  *Tally
	Logger *slog.Logger
}

// Server is the resolver of one container.
type Server struct {
	cfg      Config
	upstream *Upstream // nil: nobody to ask
	ports    Ports
	servers  []*dns.Server
	serving  sync.WaitGroup
	ctx      context.Context
	cancel   context.CancelFunc
	budget   budget
	places   chan struct{}
}

// Open starts a resolver. Close ends it.
func Open(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, upstream: cfg.Own, places: make(chan struct{}, questionsAtOnce), budget: newBudget(QuestionsPerSecond)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if len(cfg.Servers) > 0 {
		own, err := NewUpstream(cfg.Namespace, func() []netip.Addr { return cfg.Servers })
		if err != nil {
			s.cancel()
			return nil, err
		}
		s.upstream = own
	}
	if err := s.listen(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// listen opens the sockets in the container's namespace and serves them.
func (s *Server) listen() error {
	var packets net.PacketConn
	var stream net.Listener
	err := namespace.Enter(s.cfg.Namespace, func() (err error) {
		packets, err = anywhere(s.cfg.Ports.UDP, func(at string) (net.PacketConn, error) { return net.ListenPacket("udp4", at) })
		if err != nil {
			return err
		}
		stream, err = anywhere(s.cfg.Ports.TCP, func(at string) (net.Listener, error) { return net.Listen("tcp4", at) })
		if err != nil {
			packets.Close()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot open resolver: %w", err)
	}
	s.ports = Ports{UDP: portOf(packets.LocalAddr()), TCP: portOf(stream.Addr())}
	s.serve(&dns.Server{PacketConn: packets, UDPSize: dns.DefaultMsgSize})
	s.serve(&dns.Server{Listener: &bounded{Listener: stream, places: make(chan struct{}, connections)}, IdleTimeout: func() time.Duration { return idleConnection }})
	return nil
}

// anywhere listens at a port or, if that is taken, at one that the kernel chooses.
func anywhere[T any](port uint16, listen func(at string) (T, error)) (T, error) {
	if port != 0 {
		if l, err := listen(netip.AddrPortFrom(Address, port).String()); err == nil {
			return l, nil
		}
	}
	return listen(netip.AddrPortFrom(Address, 0).String())
}

func portOf(a net.Addr) uint16 { return netip.MustParseAddrPort(a.String()).Port() }

// Ports tells where the resolver listens.
func (s *Server) Ports() Ports { return s.ports }

// serve begins to serve one of the sockets and returns when it is served.
func (s *Server) serve(d *dns.Server) {
	started := make(chan struct{})
	d.Handler = dns.HandlerFunc(s.answer)
	d.NotifyStartedFunc = func() { close(started) }
	ended := make(chan struct{})
	s.serving.Go(func() {
		defer close(ended)
		if err := d.ActivateAndServe(); err != nil && s.ctx.Err() == nil {
			s.cfg.Logger.Error("a resolver has ended", "op", "resolve", "err", err)
		}
	})
	select {
	case <-started:
		s.servers = append(s.servers, d)
	case <-ended:
	}
}

// Close ends the resolver and waits for it.
func (s *Server) Close() {
	s.cancel()
	for _, d := range s.servers {
		_ = d.Shutdown() // it says only that it was shut down before
	}
	s.serving.Wait()
	if s.upstream != nil && s.upstream != s.cfg.Own {
		s.upstream.Close()
	}
}

// answer answers one question, or leaves it unanswered if it is one too many.
func (s *Server) answer(w dns.ResponseWriter, q *dns.Msg) {
	if !s.budget.take(time.Now()) || !s.cfg.Names.Ready() {
		s.cfg.Tally.dropped.Add(1)
		return
	}
	reply := s.own(q)
	if reply != nil {
		s.cfg.Tally.answered.Add(1)
	} else {
		select {
		case s.places <- struct{}{}:
		default:
			s.cfg.Tally.dropped.Add(1)
			return
		}
		reply = s.pass(w, q)
		<-s.places
	}
	if s.ctx.Err() != nil {
		return
	}
	if w.LocalAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
		}
		reply.Truncate(size)
	}
	_ = w.WriteMsg(reply) // who asked may be gone
}

// pass passes a question on.
func (s *Server) pass(w dns.ResponseWriter, q *dns.Msg) *dns.Msg {
	failed := new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	if s.upstream == nil {
		if len(q.Question) == 1 && q.Opcode == dns.OpcodeQuery {
			failed.Rcode = dns.RcodeNameError // an internal network has no names but its own
		}
		s.cfg.Tally.answered.Add(1)
		return failed
	}
	reply, err := s.upstream.exchange(s.ctx, w.LocalAddr().Network(), q)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.cfg.Logger.Debug("cannot pass a question on", "op", "resolve", "err", err)
		}
		s.cfg.Tally.failed.Add(1)
		return failed
	}
	s.cfg.Tally.passed.Add(1)
	return reply
}

// bounded is a listener that has so many connections at once, and no more.
type bounded struct {
	net.Listener
	places chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.places <- struct{}{}:
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { <-b.places })}, nil
		default:
			c.Close()
		}
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

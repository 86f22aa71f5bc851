package zones

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Store is what answers are made from.
type Store interface {
	View() *state.View
}

// Config says what a Server answers, and where.
type Config struct {
	Store Store
	// Connected reports whether a node gives signs of life: containers of one
	// that does not are in no service.
	Connected func(nodeID string) bool
	Listen    string // host:port, UDP and TCP
	// Origin is the zone: DATACENTER.SUFFIX.
	Origin string
	// Hosts are the names and addresses of this head: it is the zone's server.
	Hosts []string
	// Transfer are those who may have the whole zone (RFC 5936).
	Transfer []netip.Prefix
	Logger   *slog.Logger
}

// remembered is how long an account's records are used while nothing of it
// changes: a node may have gone silent, which is no change of the state.
const remembered = 2 * time.Second

// Bounds of what is answered at once. A question beyond them is not answered by
// UDP, so that it is asked again, and waits by TCP.
const (
	maxQuestions   = 256
	maxConnections = 256
	maxTransfers   = 4
)

// Server answers. It is safe for concurrent use.
type Server struct {
	Config
	origin               string
	now                  func() time.Time
	questions, transfers chan struct{} // a place for each that is under way

	mu        sync.Mutex
	accounts  map[string]known // by id
	directory directory
}

// known is an account's records as they were worked out.
type known struct {
	version uint64
	at      time.Time
	records records
}

// New returns a server; Listen has it listen.
func New(c Config) *Server {
	return &Server{
		Config: c, origin: dns.CanonicalName(c.Origin), now: time.Now, accounts: map[string]known{},
		questions: make(chan struct{}, maxQuestions), transfers: make(chan struct{}, maxTransfers),
	}
}

// Listener is a server that listens already.
type Listener struct {
	servers []*dns.Server
}

// Open listens for questions by UDP and TCP; Serve answers them.
func (s *Server) Open(ctx context.Context) (*Listener, error) {
	var lc net.ListenConfig
	packets, err := lc.ListenPacket(ctx, "udp", s.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for questions of DNS: %w", err)
	}
	// With port 0 both are to have the same.
	streams, err := lc.Listen(ctx, "tcp", packets.LocalAddr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen for questions of DNS: %w", err), packets.Close())
	}
	return &Listener{[]*dns.Server{
		{PacketConn: packets, Handler: s},
		{Listener: netutil.LimitListener(streams, maxConnections), Handler: s, MaxTCPQueries: 128, IdleTimeout: func() time.Duration { return 8 * time.Second }},
	}}, nil
}

// Addr is where it listens.
func (l *Listener) Addr() string { return l.servers[0].PacketConn.LocalAddr().String() }

// Serve answers until Close.
func (l *Listener) Serve() error {
	var serving sync.WaitGroup
	errs := make([]error, len(l.servers))
	for i, server := range l.servers {
		serving.Go(func() { errs[i] = server.ActivateAndServe() })
	}
	serving.Wait()
	return errors.Join(errs...)
}

// Close ends a listener, whether it serves or not.
func (l *Listener) Close() {
	for _, server := range l.servers {
		_ = server.Shutdown() // it may not serve yet
		if server.PacketConn != nil {
			server.PacketConn.Close()
		}
		if server.Listener != nil {
			server.Listener.Close()
		}
	}
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	if len(q.Question) == 1 && q.Question[0].Qtype == dns.TypeAXFR {
		s.transfer(w, q)
		return
	}
	select {
	case s.questions <- struct{}{}:
		defer func() { <-s.questions }()
	default:
		return // whoever asks, asks again
	}
	m := s.answer(q)
	size := dns.MinMsgSize
	if w.RemoteAddr().Network() == "tcp" {
		size = dns.MaxMsgSize
	} else if opt := q.IsEdns0(); opt != nil {
		size = max(size, min(int(opt.UDPSize()), 1232)) // what no path takes apart
		m.SetEdns0(1232, false)
	}
	m.Truncate(size)
	if err := w.WriteMsg(m); err != nil {
		s.Logger.Debug("cannot answer a question", "op", "dns", "err", err)
	}
}

func (s *Server) answer(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 || q.Question[0].Qclass != dns.ClassINET {
		return m.SetRcode(q, dns.RcodeNotImplemented)
	}
	v, question := s.Store.View(), q.Question[0]
	name := dns.CanonicalName(question.Name)
	m.Authoritative = true
	if a, ok := addressOf(name); ok {
		to, known := reverse(v, s.known(v).external, a, s.origin)
		switch {
		case !known:
			m.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypePTR || question.Qtype == dns.TypeANY:
			m.Answer = append(m.Answer, &dns.PTR{Hdr: header(question.Name, dns.TypePTR), Ptr: to})
		}
		return m
	}
	if !dns.IsSubDomain(s.origin, name) {
		m.Authoritative = false
		m.Rcode = dns.RcodeRefused
		return m
	}
	found, exists := s.lookup(v, name)
	for _, rr := range found {
		if kind := rr.Header().Rrtype; kind == question.Qtype || question.Qtype == dns.TypeANY {
			m.Answer = append(m.Answer, rr)
		}
	}
	m.Extra = append(m.Extra, s.targets(v, m.Answer)...)
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		m.Ns = append(m.Ns, s.soa(v))
	}
	return m
}

// addressOf reads the name of an address (RFC 1035, 3.5, and RFC 3596, 2.5).
func addressOf(name string) (netip.Addr, bool) {
	var text strings.Builder
	if digits, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		parts := strings.Split(digits, ".")
		for i := len(parts) - 1; i >= 0; i-- {
			text.WriteString(parts[i])
			if i > 0 {
				text.WriteByte('.')
			}
		}
	} else if digits, ok := strings.CutSuffix(name, ".ip6.arpa."); ok {
		nibbles := strings.Split(digits, ".")
		for i := len(nibbles) - 1; i >= 0; i-- {
			text.WriteString(nibbles[i])
			if i > 0 && (len(nibbles)-i)%4 == 0 {
				text.WriteByte(':')
			}
		}
	}
	a, err := netip.ParseAddr(text.String())
	return a, err == nil
}

// lookup finds the records of a name in the zone, and whether there is the name
// or one below it.
func (s *Server) lookup(v *state.View, name string) (found []dns.RR, exists bool) {
	if name == s.origin {
		return append(s.servers(), s.soa(v)), true
	}
	labels := dns.SplitDomainName(strings.TrimSuffix(name, "."+s.origin))
	if len(labels) == 0 {
		return nil, false
	}
	a, ok := v.Account(s.known(v).owners[labels[len(labels)-1]])
	if !ok {
		if glue := s.glue(name); len(glue) > 0 {
			return glue, true
		}
		return nil, false
	}
	switch len(labels) {
	case 1:
		return nil, true
	case 2:
		return nil, labels[0] == "inst" || labels[0] == "svc"
	}
	found = s.of(v, &a)[name]
	return found, len(found) > 0
}

// of are an account's records of this moment, or of one that is not long ago.
func (s *Server) of(v *state.View, a *model.Account) records {
	version, now := v.AccountVersion(a.ID), s.now()
	s.mu.Lock()
	k, ok := s.accounts[a.ID]
	s.mu.Unlock()
	if ok && k.version == version && now.Sub(k.at) < remembered {
		return k.records
	}
	k = known{version: version, at: now, records: recordsOf(v, a, s.origin, s.well)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.accounts { // of accounts that are gone
		if _, there := v.Account(id); !there {
			delete(s.accounts, id)
		}
	}
	s.accounts[a.ID] = k
	return k.records
}

// well reports whether users can be sent to a container.
func (s *Server) well(c *model.Container) bool {
	sick := c.State.Health != nil && c.State.Health.Status == model.HealthUnhealthy
	return c.State.Status == model.StatusRunning && !sick && s.Connected(c.NodeID)
}

// servers are the zone's NS records: the names of this head, or one made for
// its addresses.
func (s *Server) servers() []dns.RR {
	for _, host := range s.Hosts {
		if _, err := netip.ParseAddr(host); err != nil {
			return []dns.RR{&dns.NS{Hdr: header(s.origin, dns.TypeNS), Ns: dns.CanonicalName(host)}}
		}
	}
	return []dns.RR{&dns.NS{Hdr: header(s.origin, dns.TypeNS), Ns: "ns." + s.origin}}
}

// glue are the addresses of the name that servers made.
func (s *Server) glue(name string) []dns.RR {
	if name != "ns."+s.origin {
		return nil
	}
	var all []netip.Addr
	for _, host := range s.Hosts {
		if a, err := netip.ParseAddr(host); err == nil {
			all = append(all, a)
		}
	}
	r := records{}
	r.add(name, all)
	return r[name]
}

// soa says how new the zone is, by the state's index, and how long to remember
// that there is no such name.
func (s *Server) soa(v *state.View) dns.RR {
	return &dns.SOA{
		Hdr: header(s.origin, dns.TypeSOA), Ns: s.servers()[0].(*dns.NS).Ns, Mbox: "hostmaster." + s.origin,
		Serial: uint32(v.Index()), Refresh: ttl, Retry: ttl, Expire: 7 * 24 * 3600, Minttl: 5,
	}
}

// transfer gives the whole zone to those who may have it, by TCP.
func (s *Server) transfer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	if dns.CanonicalName(q.Question[0].Name) != s.origin || w.RemoteAddr().Network() != "tcp" || !s.mayTransfer(w.RemoteAddr()) {
		_ = w.WriteMsg(m.SetRcode(q, dns.RcodeRefused)) // the client may have gone
		return
	}
	select {
	case s.transfers <- struct{}{}:
		defer func() { <-s.transfers }()
	default:
		_ = w.WriteMsg(m.SetRcode(q, dns.RcodeServerFailure)) // secondaries try again
		return
	}
	v := s.Store.View()
	all := append([]dns.RR{s.soa(v)}, s.servers()...)
	all = append(all, s.glue("ns."+s.origin)...)
	for _, a := range v.Accounts() {
		all = append(all, s.of(v, a).sorted()...)
	}
	all = append(all, s.soa(v))
	const each = 500 // records in one message, which has 64 KiB at most
	envelopes := make(chan *dns.Envelope)
	go func() {
		defer close(envelopes)
		for begin := 0; begin < len(all); begin += each {
			envelopes <- &dns.Envelope{RR: all[begin:min(begin+each, len(all))]}
		}
	}()
	if err := new(dns.Transfer).Out(w, q, envelopes); err != nil {
		s.Logger.Debug("cannot transfer the zone", "op", "dns", "err", err)
		for range envelopes { // so that the sender ends
		}
	}
}

func (s *Server) mayTransfer(from net.Addr) bool {
	at, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return false
	}
	for _, p := range s.Transfer {
		if p.Contains(at.Addr().Unmap()) {
			return true
		}
	}
	return false
}

package resolver

import (
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// ttl is how many seconds an answer of ours may be kept: hardly at all, since
// who stops is out at once.
const ttl = 1

// own answers questions about names of the container's networks, and returns
// nil for others. A name that is known has an answer for every type, if an
// empty one: else clients would believe that it does not exist.
func (s *Server) own(q *dns.Msg) *dns.Msg {
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 || q.Question[0].Qclass != dns.ClassINET {
		return nil
	}
	question := q.Question[0]
	name := strings.ToLower(strings.TrimSuffix(question.Name, "."))
	if question.Qtype == dns.TypePTR {
		return s.reverse(q, name)
	}
	addresses, known := s.cfg.Names.Lookup(name)
	if !known {
		return nil
	}
	reply := replyTo(q)
	if question.Qtype == dns.TypeSRV {
		s.offered(reply, name)
		return reply
	}
	reply.Answer = records(question.Name, turned(addresses), question.Qtype)
	return reply
}

// offered adds where a service is offered, and the addresses of those places,
// so that nobody has to ask for them.
func (s *Server) offered(reply *dns.Msg, name string) {
	for _, o := range s.cfg.Names.Services(name) {
		target := dns.Fqdn(o.Target)
		reply.Answer = append(reply.Answer, &dns.SRV{
			Hdr:      dns.RR_Header{Name: reply.Question[0].Name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: ttl},
			Priority: o.Priority, Weight: o.Weight, Port: o.Port, Target: target,
		})
		addresses, _ := s.cfg.Names.Lookup(strings.ToLower(o.Target))
		reply.Extra = append(reply.Extra, records(target, addresses, dns.TypeA)...)
		reply.Extra = append(reply.Extra, records(target, addresses, dns.TypeAAAA)...)
	}
}

func (s *Server) reverse(q *dns.Msg, name string) *dns.Msg {
	a, ok := addressOf(name)
	if !ok {
		return nil
	}
	owner, known := s.cfg.Names.Reverse(a)
	if !known {
		return nil
	}
	reply := replyTo(q)
	reply.Answer = []dns.RR{&dns.PTR{
		Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: ttl},
		Ptr: dns.Fqdn(owner),
	}}
	return reply
}

// records are the addresses of a name, of one type (A or AAAA).
func records(name string, addresses []netip.Addr, kind uint16) (all []dns.RR) {
	header := dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
	for _, a := range addresses {
		switch {
		case a.Is4() && kind == dns.TypeA:
			all = append(all, &dns.A{Hdr: header, A: a.AsSlice()})
		case a.Is6() && kind == dns.TypeAAAA:
			all = append(all, &dns.AAAA{Hdr: header, AAAA: a.AsSlice()})
		}
	}
	return all
}

func replyTo(q *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(q)
	reply.RecursionAvailable = true
	if o := q.IsEdns0(); o != nil {
		reply.SetEdns0(dns.DefaultMsgSize, false)
	}
	return reply
}

// turned begins a list elsewhere each time, so that members share what comes.
func turned(list []netip.Addr) []netip.Addr {
	if len(list) < 2 {
		return list
	}
	at := rand.IntN(len(list))
	return slices.Concat(list[at:], list[:at])
}

// addressOf reads the name under which the owner of an address is asked for
// (RFC 1035, section 3.5; RFC 3596, section 2.5).
func addressOf(name string) (netip.Addr, bool) {
	if v4, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		labels := strings.Split(v4, ".")
		if len(labels) != 4 {
			return netip.Addr{}, false
		}
		var a [4]byte
		for i, label := range labels {
			n, err := strconv.ParseUint(label, 10, 8)
			if err != nil {
				return netip.Addr{}, false
			}
			a[3-i] = byte(n)
		}
		return netip.AddrFrom4(a), true
	}
	v6, ok := strings.CutSuffix(name, ".ip6.arpa")
	if !ok || len(v6) != 63 {
		return netip.Addr{}, false
	}
	labels := strings.Split(v6, ".")
	slices.Reverse(labels)
	bytes, err := hex.DecodeString(strings.Join(labels, ""))
	if err != nil || len(bytes) != 16 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte(bytes)), true
}

package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/spearheadcloud/spearhead/model"
)

// asks sends one question from a container to its resolver, and returns its
// answer in words: what it holds, or why it holds nothing.
func asks(t testing.TB, path, network, name string, kind uint16) string {
	t.Helper()
	var conn net.Conn
	err := inside(t, path, func() (err error) {
		conn, err = net.Dial(network, "127.0.0.11:53")
		return err
	})
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	client := &dns.Client{Net: network, Timeout: 3 * time.Second}
	answer, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), &dns.Conn{Conn: conn})
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, r := range answer.Answer {
		words = append(words, strings.TrimPrefix(r.String(), r.Header().String()))
	}
	if len(words) == 0 {
		return dns.RcodeToString[answer.Rcode]
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// nameServer serves one name, example.test, in a namespace.
func nameServer(t testing.TB, path, address, says string) {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		if q.Question[0].Name != "example.test." {
			reply.Rcode = dns.RcodeNameError
		} else if q.Question[0].Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "example.test.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(says)}}
		}
		w.WriteMsg(reply)
	})
	udp, tcp := &dns.Server{Handler: handler}, &dns.Server{Handler: handler}
	err := inside(t, path, func() (err error) {
		if udp.PacketConn, err = net.ListenPacket("udp", address+":53"); err != nil {
			return err
		}
		tcp.Listener, err = net.Listen("tcp", address+":53")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var serving, begun sync.WaitGroup
	for _, s := range []*dns.Server{udp, tcp} {
		begun.Add(1)
		s.NotifyStartedFunc = begun.Done
		serving.Go(func() { s.ActivateAndServe() })
	}
	begun.Wait()
	t.Cleanup(func() { udp.Shutdown(); tcp.Shutdown(); serving.Wait() })
}

func TestContainersFindEachOtherByName(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(testing.TB, ...string) *machines{"in one process": newMachines, "in one apart": newMachinesApart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findEachOther(t, make(t, "node-a", "node-b"))
		})
	}
}

func findEachOther(t *testing.T, m *machines) {
	one, two, other := fabric(7, "10.7.0.0/24"), fabric(8, "10.8.0.0/24"), fabric(9, "10.9.0.0/24")
	one.Subnet6, one.Gateway6 = netip.MustParsePrefix("fd07::/64"), netip.MustParseAddr("fd07::1")
	aliased := nicOn(one, "eth0", 0x12)
	aliased.Aliases = []string{"DB", "cache"}
	id := strings.Repeat("0123456789ab", 6)[:64]
	web := m.join("node-a", "alice", "web", []model.Network{one, two}, nicOn(one, "eth0", 0x11), nicOn(two, "eth1", 0x11))
	m.join("node-b", "alice", "db", []model.Network{one}, aliased)
	m.join("node-b", "alice", id, []model.Network{two}, nicOn(two, "eth0", 0x13))
	cache := nicOn(one, "eth0", 0x14)
	cache.Aliases = []string{"cache"}
	m.join("node-a", "alice", "cache2", []model.Network{one}, cache)
	m.join("node-b", "alice", "secret", []model.Network{other}, nicOn(other, "eth0", 0x11))
	m.members[one.ID][1].Services = []model.Service{{Name: "store", Port: 5432, Priority: 1, Weight: 2}, {Name: "web", Port: 1}}
	m.members[one.ID][2].Services = []model.Service{{Name: "Store"}}
	m.tell()
	os.WriteFile(m.path("resolv-node-a"), []byte("nameserver 10.200.0.254\n"), 0o600)
	nameServer(t, m.path("switch"), "10.200.0.254", "198.51.100.7")

	for _, c := range []struct {
		name string
		kind uint16
		want string
	}{
		{"db", dns.TypeA, "10.7.0.18"},
		{"db", dns.TypeAAAA, "fd07::12"},
		{"DB", dns.TypeA, "10.7.0.18"},
		{"db.net7", dns.TypeA, "10.7.0.18"},
		{"db", dns.TypeTXT, "NOERROR"},
		{"web", dns.TypeA, "10.7.0.17"},
		{"cache", dns.TypeA, "10.7.0.18 10.7.0.20"},
		{id[:12], dns.TypeA, "10.8.0.19"},
		{id[:12], dns.TypeAAAA, "NOERROR"},
		{"secret", dns.TypeA, "NXDOMAIN"},
		{"store", dns.TypeA, "10.7.0.18 10.7.0.20"},
		{"store.net7", dns.TypeAAAA, "fd07::12 fd07::14"},
		{"store", dns.TypeSRV, "1 2 5432 db.net7."},
		{"cache", dns.TypeSRV, "NOERROR"},
		{"18.0.7.10.in-addr.arpa", dns.TypePTR, "db.net7."},
		{"2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.d.f.ip6.arpa", dns.TypePTR, "db.net7."},
		{"17.0.9.10.in-addr.arpa", dns.TypePTR, "NXDOMAIN"},
		{"example.test", dns.TypeA, "198.51.100.7"},
		{"missing.test", dns.TypeA, "NXDOMAIN"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got := asks(t, web, network, c.name, c.kind); got != c.want {
				t.Errorf("%s %s by %s: %q, want %q", c.name, dns.TypeToString[c.kind], network, got, c.want)
			}
		}
	}
	for i := range m.members[one.ID] {
		if m.members[one.ID][i].ContainerID == "db" {
			m.members[one.ID][i].Up = false
		}
	}
	m.tell()
	if got := asks(t, web, "udp", "cache", dns.TypeA); got != "10.7.0.20" {
		t.Errorf("with one member out, its service is at %q", got)
	}
	if got := asks(t, web, "udp", "db", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("a stopped container is at %q", got)
	}
}

func TestWhoIsAskedForOtherNames(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	os.WriteFile(m.path("resolv-node-a"), []byte("nameserver 10.200.0.254\n"), 0o600)
	nameServer(t, m.path("switch"), "10.200.0.254", "198.51.100.1")
	nameServer(t, m.path("switch"), "10.201.0.1", "198.51.100.2")
	m.in("switch", "ip address add 10.201.0.2/24 dev sw0")
	nameServer(t, m.path("switch"), "10.201.0.2", "198.51.100.3")
	plain, named, internal := fabric(7, "10.7.0.0/24"), fabric(8, "10.8.0.0/24"), fabric(9, "10.9.0.0/24")
	named.Resolvers = []netip.Addr{netip.MustParseAddr("10.201.0.99"), netip.MustParseAddr("10.201.0.1")}
	internal.Internal = true
	for _, c := range []struct {
		name    string
		network model.Network
		dns     []netip.Addr
		want    string
	}{
		{"the node's", plain, nil, "198.51.100.1"},
		{"the network's, the second as the first is silent", named, nil, "198.51.100.2"},
		{"the container's own", named, []netip.Addr{netip.MustParseAddr("10.201.0.2")}, "198.51.100.3"},
		{"nobody", internal, nil, "NXDOMAIN"},
		{"one that the container cannot reach", plain, []netip.Addr{netip.MustParseAddr("10.200.0.254")}, "SERVFAIL"},
	} {
		id := fmt.Sprint("c", len(c.name))
		path, err := m.drivers["node-a"].Attach(context.Background(), Attachment{
			Container: id, Account: "alice", NICs: []model.NIC{nicOn(c.network, "eth0", byte(len(c.name)))}, Networks: []model.Network{c.network}, Resolver: true, DNS: c.dns,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := asks(t, path, "udp", "example.test", dns.TypeA); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNamesAreServedAgainAfterARestart(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	m.drivers["node-a"].release()
	m.start("node-a")
	m.tell()
	if got := asks(t, a, "udp", "a", dns.TypeA); got != "10.7.0.11" {
		t.Errorf("after a restart: %q", got)
	}
}

func TestAContainerMayBeANameServer(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	server := m.join("node-a", "alice", "server", []model.Network{n}, nicOn(n, "eth0", 11))
	client := m.join("node-a", "alice", "client", []model.Network{n}, nicOn(n, "eth0", 12))
	echoes(t, server, ":53", "mine")
	if got := hears(t, client, "udp", "10.7.0.11:53", patience); got != "mine" {
		t.Errorf("it answers %q", got)
	}
	if got := asks(t, server, "udp", "client", dns.TypeA); got != "10.7.0.12" {
		t.Errorf("and asks itself: %q", got)
	}
}

// TestWhoAsksMuchDisturbsNobody has one container ask ten thousand questions
// while another one asks a few, of which none may be lost.
func TestWhoAsksMuchDisturbsNobody(t *testing.T) {
	t.Parallel()
	m := newMachinesApart(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	loud := m.join("node-a", "alice", "loud", []model.Network{n}, nicOn(n, "eth0", 11))
	quiet := m.join("node-a", "alice", "quiet", []model.Network{n}, nicOn(n, "eth0", 12))
	var conn net.Conn
	err := inside(t, loud, func() (err error) { conn, err = net.Dial("udp", "127.0.0.11:53"); return err })
	if err != nil {
		t.Fatal(err)
	}
	question, err := new(dns.Msg).SetQuestion("quiet.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	var flood sync.WaitGroup
	begun := time.Now()
	flood.Go(func() {
		for range 10_000 {
			conn.Write(question)
		}
	})
	for range 50 {
		if got := asks(t, quiet, "udp", "loud", dns.TypeA); got != "10.7.0.11" {
			t.Errorf("disturbed: %q", got)
		}
	}
	flood.Wait()
	conn.Close()
	stats, err := m.drivers["node-a"].Names(t.Context())
	most := questionsPerSecond*(1+time.Since(begun).Seconds()) + 100 // of the other container, and of rounding
	if all := stats.Questions.Answered + stats.Questions.Dropped; err != nil || float64(all) > most {
		t.Errorf("of 10,000 questions %d are read, %v; more than %.0f", all, err, most)
	}
	if stats.Questions.Answered < 50 {
		t.Errorf("%d questions are answered", stats.Questions.Answered)
	}
}

func TestNamesOfOneAccountAreNotTheOthers(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := m.network
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 21))
	m.join("node-a", "bob", "b", []model.Network{n}, nicOn(n, "eth0", 31))
	got := []string{asks(t, a, "udp", "a", dns.TypeA), asks(t, a, "udp", "b", dns.TypeA), asks(t, a, "udp", "31.0.201.10.in-addr.arpa", dns.TypePTR)}
	if diff := cmp.Diff([]string{"10.201.0.21", "SERVFAIL", "SERVFAIL"}, got); diff != "" {
		t.Errorf("on a wire of both (-want +got):\n%s", diff)
	}
}

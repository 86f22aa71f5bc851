package network

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// outside is where tests have a server that is not of the data center: the
// switch's address, to which nodes have a route.
const outside = "10.201.0.1"

// ledger answers each datagram by what it says, and counts from how many
// places each word came.
type ledger struct {
	mu     sync.Mutex
	places map[string]map[netip.AddrPort]bool
}

func newLedger(t *testing.T, path, address string) *ledger {
	t.Helper()
	l := &ledger{places: map[string]map[netip.AddrPort]bool{}}
	var conn *net.UDPConn
	if err := inside(t, path, func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		var b [512]byte
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b[:])
			if err != nil {
				return
			}
			l.note(string(b[:n]), from)
			conn.WriteToUDPAddrPort(b[:n], from)
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return l
}

func (l *ledger) note(word string, from netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.places[word] == nil {
		l.places[word] = map[netip.AddrPort]bool{}
	}
	l.places[word][from] = true
}

func (l *ledger) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.places[word])
}

// grab says a word to an address from so many ports of a namespace at once,
// and keeps them until the test ends.
func grab(t *testing.T, path, address, word string, ports int) {
	t.Helper()
	err := inside(t, path, func() error {
		for range ports {
			c, err := net.Dial("udp4", address)
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			_, _ = io.WriteString(c, word) // one that is dropped may show as an error
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asksOn says a word, from one port after the other, until it is said back.
func asksOn(t *testing.T, path, address, word string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		switch heard := says(t, path, address, word, time.Second); {
		case heard == word:
			return
		case heard != "":
			t.Errorf("%s is answered %q", word, heard)
			return
		case time.Now().After(deadline):
			t.Errorf("%s gets no answer", word)
			return
		}
	}
}

// says is what is said back to a word in time, or "".
func says(t *testing.T, path, address, word string, in time.Duration) string {
	t.Helper()
	var c net.Conn
	if err := inside(t, path, func() (err error) { c, err = net.Dial("udp4", address); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, word) // one that is dropped may show as an error
	c.SetReadDeadline(time.Now().Add(in))
	b := make([]byte, 512)
	n, _ := c.Read(b)
	return string(b[:n])
}

// TestNobodyTakesAllConnections: a container, and an account with several, get
// their share of the connections out of fabrics and no more, and others theirs.
func TestNobodyTakesAllConnections(t *testing.T) {
	t.Parallel()
	m := newMachines(t)
	m.connections = 32
	m.plugIn("node-a")
	m.start("node-a")
	one, two, bobs := fabric(7, "10.7.0.0/24"), fabric(8, "10.8.0.0/24"), fabric(9, "10.7.0.0/24")
	bobs.AccountID = "bob"
	l := newLedger(t, m.path("switch"), outside+":9")
	greedy := m.join("node-a", "alice", "greedy", []model.Network{one}, nicOn(one, "eth0", 11))
	modest := m.join("node-a", "alice", "modest", []model.Network{one}, nicOn(one, "eth0", 12))
	bob := m.join("node-a", "bob", "bob", []model.Network{bobs}, nicOn(bobs, "eth0", 11))
	grab(t, greedy, outside+":9", "greedy", 400)
	asksOn(t, modest, outside+":9", "modest")
	asksOn(t, bob, outside+":9", "bob")
	eventually(t, "a container gets no connections", func() bool { return l.count("greedy") > 8 })
	if n := l.count("greedy"); n > 32 {
		t.Errorf("a container has %d connections at once, of 32", n)
	}
	for i := range byte(6) {
		n := []model.Network{one, two}[i%2]
		path := m.join("node-a", "alice", fmt.Sprint("more", i), []model.Network{n}, nicOn(n, "eth0", 20+i))
		grab(t, path, outside+":9", "alice", 400)
	}
	asksOn(t, bob, outside+":9", "bob again")
	eventually(t, "six containers have no more connections than one", func() bool { return l.count("alice") > 32 })
	if n := l.count("greedy") + l.count("alice") + l.count("modest"); n > 4*32 {
		t.Errorf("an account has %d connections at once, of %d", n, 4*32)
	}
	grab(t, bob, outside+":9", "all of bob", 20) // his lists fill unevenly, but he gets some
	eventually(t, "the other account gets few connections", func() bool { return l.count("all of bob") >= 8 })
	// An account's fabric that goes takes nothing of another's along.
	for i := range byte(6) {
		m.testbed.detach(m.drivers["node-a"], fmt.Sprint("more", i))
		m.forget(fmt.Sprint("more", i))
	}
	m.tell()
	asksOn(t, bob, outside+":9", "bob after all")
}

// TestSameAddressesAndPortsAreKeptApart: containers of two accounts that have
// one address, and speak from one port to one server at once, hear their own
// answers only.
func TestSameAddressesAndPortsAreKeptApart(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	ours, theirs := fabric(7, "10.7.0.0/24"), fabric(8, "10.7.0.0/24")
	theirs.AccountID = "bob"
	paths := map[string]string{
		"alice": m.join("node-a", "alice", "a", []model.Network{ours}, nicOn(ours, "eth0", 11)),
		"bob":   m.join("node-a", "bob", "b", []model.Network{theirs}, nicOn(theirs, "eth0", 11)),
	}
	var l net.Listener
	if err := inside(t, m.path("switch"), func() (err error) { l, err = net.Listen("tcp4", outside+":80"); return err }); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { l.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
	newLedger(t, m.path("switch"), outside+":9")
	conns := map[string][2]net.Conn{}
	for account, path := range paths {
		var pair [2]net.Conn
		for i, network := range []string{"tcp4", "udp4"} {
			err := inside(t, path, func() (err error) {
				d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{Port: 5555}}
				if network == "udp4" {
					d.LocalAddr = &net.UDPAddr{Port: 5555}
				}
				pair[i], err = d.Dial(network, outside+[]string{":80", ":9"}[i])
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			defer pair[i].Close()
		}
		conns[account] = pair
	}
	for round := range 20 {
		for i, network := range []string{"tcp", "udp"} {
			for account, pair := range conns { // both have asked before one reads
				fmt.Fprintf(pair[i], "%5s%3d", account, round)
			}
			for account, pair := range conns {
				b, want := make([]byte, 8), fmt.Sprintf("%5s%3d", account, round)
				pair[i].SetReadDeadline(time.Now().Add(time.Minute))
				if _, err := io.ReadFull(pair[i], b); err != nil || string(b) != want {
					t.Fatalf("by %s %s hears %q, %v, want %q", network, account, b, err, want)
				}
			}
		}
	}
}

// TestTunnelsTakeNoPlaces in the machine's table of connections: what
// containers of a fabric say to each other concerns nobody else.
func TestTunnelsTakeNoPlaces(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	n := fabric(7, "10.7.0.0/24")
	one := m.join("node-a", "alice", "one", []model.Network{n}, nicOn(n, "eth0", 11))
	m.join("node-b", "alice", "two", []model.Network{n}, nicOn(n, "eth0", 12))
	wantPings(t, ping{"across nodes", one, "10.7.0.12", true}, ping{"outwards", one, outside, true})
	for _, node := range []string{"node-a", "node-b"} {
		var flows []*netlink.ConntrackFlow
		if err := inside(t, m.path(node), func() (err error) {
			flows, err = netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, f := range flows {
			if f.Forward.DstPort == vxlanPort {
				t.Errorf("%s tracks its tunnel: %s", node, f)
			}
		}
		if text := fmt.Sprint(flows); node == "node-a" && !strings.Contains(text, outside) {
			t.Errorf("%s tracks nothing that goes out: %s", node, text)
		}
	}
}

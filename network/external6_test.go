package network

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// TestExternalNetworksSpeakIPv6: addresses on the wire, by way of a router to
// far away and back, closed but for what is open, and honest.
func TestExternalNetworksSpeakIPv6(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	n := m.network
	n.Subnet6, n.Gateway6 = netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParseAddr("2001:db8:1::1")
	for _, link := range []string{"sw0", "all"} {
		m.in("switch", "busybox sysctl -w net.ipv6.conf."+link+".disable_ipv6=0")
	}
	m.in("switch", "busybox sysctl -w net.ipv6.conf.all.forwarding=1")
	m.in("switch", "ip -6 address add 2001:db8:1::1/64 dev sw0 nodad")
	m.namespace("far")
	m.in("switch", "ip link add far type veth peer name eth0 netns "+m.path("far"))
	m.in("switch", "ip -6 address add 2001:db8:2::1/64 dev far nodad")
	m.in("switch", "ip link set far up")
	m.in("far", "ip -6 address add 2001:db8:2::2/64 dev eth0 nodad")
	m.in("far", "ip link set eth0 up")
	m.in("far", "ip -6 route add default via 2001:db8:2::1")
	m.in("switch", "busybox sysctl -w net.ipv6.conf.far.disable_ipv6=0")

	public := nicOn(n, "eth0", 0x21)
	public.Ports = []model.PortMap{{Protocol: "tcp", Port: 80, Target: 80}, {Protocol: "tcp", Port: 8080, Target: 90}}
	web := m.join("node-a", "alice", "web", []model.Network{n}, public)
	own := m.join("node-b", "alice", "own", []model.Network{n}, nicOn(n, "eth0", 0x22))
	bob := m.join("node-b", "bob", "bob", []model.Network{n}, nicOn(n, "eth0", 0x31))
	// Not just "tcp": package net finds out once whether a process has IPv6, and
	// where it first asks there may be none.
	for _, port := range []string{":80", ":90", ":99"} {
		listens(t, web, "tcp6", "[::]"+port, "web"+port)
	}
	listens(t, m.path("far"), "tcp", "[2001:db8:2::2]:7", "far")
	world := m.path("far")
	eventually(t, "the way to far away does not come up", func() bool { return reaches(world, "2001:db8:1::1") })
	wantFlows(t,
		flow{"an open port from far away", world, "tcp", "[2001:db8:1::21]:80", "web:80"},
		flow{"a mapped port", world, "tcp", "[2001:db8:1::21]:8080", "web:90"},
		flow{"what it is mapped to", world, "tcp", "[2001:db8:1::21]:90", ""},
		flow{"a closed port", world, "tcp", "[2001:db8:1::21]:99", ""},
		flow{"another account's", bob, "tcp", "[2001:db8:1::21]:99", ""},
		flow{"an own container", own, "tcp", "[2001:db8:1::21]:99", "web:99"},
		flow{"out to far away", web, "tcp", "[2001:db8:2::2]:7", "far"},
	)
	wantPings(t, ping{"an echo", world, "2001:db8:1::22", true})

	if out, err := run(bob, "ip -6 address add 2001:db8:1::21/64 dev eth0 nodad"); err != nil {
		t.Fatal(out)
	}
	if got := received(t, world, bob, "[2001:db8:2::2]:9", "[2001:db8:1::31]:0", patience); got != "word" {
		t.Fatalf("an honest packet arrives as %q", got)
	}
	if got := received(t, world, bob, "[2001:db8:2::2]:9", "[2001:db8:1::21]:0", quiet); got != "" {
		t.Errorf("a packet with another's address arrives as %q", got)
	}
	before := neighbour(t, m.path("switch"), "2001:db8:1::21")
	advertise(t, bob, "2001:db8:1::1", "2001:db8:1::21")
	if after := neighbour(t, m.path("switch"), "2001:db8:1::21"); after != before || before == "" {
		t.Errorf("the router believes that the victim is %s, was %q", after, before)
	}
	sendRouterAdvertisement(t, bob)
	if out, _ := run(own, "ip -6 route"); strings.Contains(out, "fd66") {
		t.Errorf("a container's advertisement changed routes: %s", out)
	}
}

// TestAReusedIPv6AddressIsBelievedAtOnce by neighbours that know another MAC.
func TestAReusedIPv6AddressIsBelievedAtOnce(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	n := m.network
	n.Subnet6, n.Gateway6 = netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParseAddr("2001:db8:1::1")
	m.in("switch", "busybox sysctl -w net.ipv6.conf.sw0.disable_ipv6=0")
	m.in("switch", "ip -6 address add 2001:db8:1::1/64 dev sw0 nodad")
	m.join("node-a", "alice", "one", []model.Network{n}, nicOn(n, "eth0", 0x21))
	eventually(t, "unreachable before", func() bool { return reaches(m.path("switch"), "2001:db8:1::21") })
	m.testbed.detach(m.drivers["node-a"], "one")
	m.forget("one")
	nic := nicOn(n, "eth0", 0x21)
	nic.MAC = "02:aa:00:00:00:21"
	m.join("node-b", "alice", "two", []model.Network{n}, nic)
	eventually(t, "neighbours still hold the former owner's MAC", func() bool {
		return neighbour(t, m.path("switch"), "2001:db8:1::21") == nic.MAC
	})
}

// TestContainersServeNoDHCP, neither of IPv4 nor of IPv6.
func TestContainersServeNoDHCP(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	n.Subnet6, n.Gateway6 = netip.MustParsePrefix("fd07::/64"), netip.MustParseAddr("fd07::1")
	open := func(last byte) model.NIC { // without a firewall, so that the guard stands alone
		nic := nicOn(n, "eth0", last)
		nic.Firewall = false
		return nic
	}
	evil := m.join("node-a", "alice", "evil", []model.Network{n}, open(0x66))
	victim := m.join("node-a", "alice", "victim", []model.Network{n}, open(0x11))
	if !reaches(evil, "10.7.0.17") || !reaches(evil, "fd07::11") {
		t.Fatal("honest traffic does not pass")
	}
	for _, c := range []struct{ name, network, at, from, want string }{
		{"what is no DHCP", "udp4", ":68", "10.7.0.102:66", "word"},
		{"DHCP to everybody", "udp4", ":68", "10.7.0.102:67", ""},
		{"what is no DHCPv6", "udp6", "[fd07::11]:546", "[fd07::66]:548", "word"},
		{"DHCPv6", "udp6", "[fd07::11]:546", "[fd07::66]:547", ""},
	} {
		to := c.at
		if c.network == "udp4" {
			to = "255.255.255.255:68"
		}
		in := patience
		if c.want == "" {
			in = quiet
		}
		if got := datagram(t, c.network, victim, c.at, evil, c.from, to, in); got != c.want {
			t.Errorf("%s arrives as %q, want %q", c.name, got, c.want)
		}
	}
}

// datagram is what arrives at an address in one namespace of a word that
// another one sends, which may be to everybody.
func datagram(t testing.TB, network, at, listen, from, as, to string, in time.Duration) string {
	t.Helper()
	var l, c net.PacketConn
	if err := inside(t, at, func() (err error) { l, err = net.ListenPacket(network, listen); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := inside(t, from, func() (err error) { c, err = net.ListenPacket(network, as); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) })
	}
	if err != nil {
		t.Fatal(err)
	}
	address, err := net.ResolveUDPAddr(network, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteTo([]byte("word"), address); err != nil {
		t.Fatal(err)
	}
	l.SetReadDeadline(time.Now().Add(in))
	b := make([]byte, 16)
	size, _, _ := l.ReadFrom(b)
	return string(b[:size])
}

package network

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

func TestOnlyWhatIsOpenComesIn(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	ext, fab := m.network, fabric(7, "10.7.0.0/24")
	public := nicOn(ext, "eth1", 21)
	public.Ports = []model.PortMap{
		{Protocol: "tcp", Port: 80, Target: 80}, {Protocol: "tcp", Port: 8080, Target: 90}, {Protocol: "udp", Port: 53, Target: 53}, {Protocol: "udp", Port: 5353, Target: 53},
	}
	web := m.join("node-a", "alice", "web", []model.Network{fab, ext}, nicOn(fab, "eth0", 11), public)
	db := m.join("node-b", "alice", "db", []model.Network{fab, ext}, nicOn(fab, "eth0", 12), nicOn(ext, "eth1", 22))
	bob := m.join("node-b", "bob", "bob", []model.Network{ext}, nicOn(ext, "eth0", 31))
	for _, port := range []string{":80", ":90", ":99"} {
		listens(t, web, "tcp", port, "web"+port)
	}
	listens(t, web, "udp", ":53", "web:53")
	listens(t, m.path("switch"), "tcp", "10.201.0.1:80", "switch")
	world := m.path("switch")
	wantFlows(t,
		flow{"an open port", world, "tcp", "10.201.0.21:80", "web:80"},
		flow{"a mapped port", world, "tcp", "10.201.0.21:8080", "web:90"},
		flow{"what it is mapped to", world, "tcp", "10.201.0.21:90", ""},
		flow{"a closed port", world, "tcp", "10.201.0.21:99", ""},
		flow{"an open UDP port", world, "udp", "10.201.0.21:53", "web:53"},
		flow{"a mapped UDP port", world, "udp", "10.201.0.21:5353", "web:53"},
		flow{"TCP on a UDP port", world, "tcp", "10.201.0.21:53", ""},
		flow{"a neighbour of another account", bob, "tcp", "10.201.0.21:99", ""},
		flow{"a neighbour's open port", bob, "tcp", "10.201.0.21:8080", "web:90"},
		flow{"an own container on the wire", db, "tcp", "10.201.0.21:99", "web:99"},
		flow{"an own container on the fabric", db, "tcp", "10.7.0.11:99", "web:99"},
		flow{"itself", web, "tcp", "127.0.0.1:99", "web:99"},
		flow{"itself by its address", web, "tcp", "10.201.0.21:99", "web:99"},
		flow{"out", web, "tcp", "10.201.0.1:80", "switch"},
	)
	wantPings(t, ping{"an echo", world, "10.201.0.21", true})
	m.forget("db")
	m.tell()
	wantFlows(t, flow{"who is no own container any more", db, "tcp", "10.201.0.21:99", ""}, flow{"the others", world, "tcp", "10.201.0.21:80", "web:80"})
}

// TestAnswersLeaveByTheNICThatWasAsked: also where another one has the default
// route.
func TestAnswersLeaveByTheNICThatWasAsked(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	ext, fab := m.network, fabric(7, "10.7.0.0/24")
	public := nicOn(ext, "eth1", 21)
	public.Ports = []model.PortMap{{Protocol: "tcp", Port: 80, Target: 80}}
	web := m.join("node-a", "alice", "web", []model.Network{fab, ext}, nicOn(fab, "eth0", 11), public)
	listens(t, web, "tcp", ":80", "web")
	m.namespace("far")
	m.in("switch", "ip link add far type veth peer name eth0 netns "+m.path("far"))
	m.in("switch", "ip address add 198.51.100.1/24 dev far")
	m.in("switch", "ip link set far up")
	m.in("switch", "busybox sysctl -w net.ipv4.ip_forward=1")
	m.in("far", "ip address add 198.51.100.2/24 dev eth0")
	m.in("far", "ip link set eth0 up")
	m.in("far", "ip route add default via 198.51.100.1")
	wantFlows(t, flow{"from far away", m.path("far"), "tcp", "10.201.0.21:80", "web"})
	if _, err := m.drivers["node-a"].Attach(context.Background(), Attachment{Container: "web", Account: "alice", NICs: []model.NIC{nicOn(fab, "eth0", 11)}, Networks: []model.Network{fab}}); err != nil {
		t.Fatal(err)
	}
	if out, _ := run(web, "ip rule"); strings.Contains(out, "10.201.0.21") {
		t.Errorf("a rule is left of a NIC that is gone: %s", out)
	}
}

func TestRulesDecideInOrderAndByTheirSets(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := m.network
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 21))
	b := m.join("node-a", "bob", "b", []model.Network{n}, nicOn(n, "eth0", 31))
	c := m.join("node-a", "carol", "c", []model.Network{n}, nicOn(n, "eth0", 41))
	for _, port := range []string{":80", ":81", ":443"} {
		listens(t, a, "tcp", port, "a")
	}
	listens(t, m.path("switch"), "tcp", "10.201.0.1:25", "switch")
	listens(t, m.path("switch"), "tcp", "10.201.0.1:80", "switch")
	echo := uint8(8)
	m.walls = []model.Firewall{{ContainerID: "a", Rules: []model.FirewallRule{
		{Inbound: true, Protocol: "tcp", Ports: []model.PortRange{{First: 81, Last: 81}}, Sets: []string{"friends"}},
		{Inbound: true, Allow: true, Protocol: "tcp", Ports: []model.PortRange{{First: 80, Last: 90}, {First: 443, Last: 443}}, Sets: []string{"friends"}},
		{Inbound: true, Protocol: "icmp", ICMPType: &echo, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.201.0.1/32")}},
		{Allow: true, Protocol: "tcp", Ports: []model.PortRange{{First: 80, Last: 80}}},
		{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.201.0.0/30")}},
	}}}
	one := func(address string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(address)} }
	m.sets = []model.AddressSet{{ID: "friends", Prefixes: one("10.201.0.31/32")}}
	m.tell()
	wantFlows(t,
		flow{"a friend", b, "tcp", "10.201.0.21:80", "a"}, flow{"a friend's other port", b, "tcp", "10.201.0.21:443", "a"},
		flow{"a friend where an earlier rule says no", b, "tcp", "10.201.0.21:81", ""},
		flow{"a stranger", c, "tcp", "10.201.0.21:80", ""},
		flow{"out where a rule says yes", a, "tcp", "10.201.0.1:80", "switch"}, flow{"out where a later one says no", a, "tcp", "10.201.0.1:25", ""},
	)
	wantPings(t, ping{"an echo that a rule forbids", m.path("switch"), "10.201.0.21", false})
	d := m.drivers["node-a"]
	before := d.boxes["a"].wall
	m.sets[0].Prefixes = one("10.201.0.41/32")
	m.tell()
	if !d.boxes["a"].wall.sameRules(before) {
		t.Error("a change of a set changed rules")
	}
	wantFlows(t, flow{"who was a friend", b, "tcp", "10.201.0.21:80", ""}, flow{"a new friend", c, "tcp", "10.201.0.21:80", "a"})
	m.sets[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("10.201.0.0/26"), netip.MustParsePrefix("10.201.0.31/32"), netip.MustParsePrefix("fd00::/8")}
	m.tell()
	wantFlows(t, flow{"a set of ranges", b, "tcp", "10.201.0.21:80", "a"})
	m.walls = nil
	m.tell()
	wantFlows(t, flow{"without rules", b, "tcp", "10.201.0.21:80", ""}, flow{"out without rules", a, "tcp", "10.201.0.1:25", "switch"})
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	m.join("node-a", "alice", "a", []model.Network{m.network}, nicOn(m.network, "eth0", 21))
	for _, rule := range []model.FirewallRule{
		{Inbound: true, Allow: true, Protocol: "tpc"},
		{Inbound: true, Allow: true, Protocol: "icmp", Ports: []model.PortRange{{First: 1, Last: 2}}},
		{Inbound: true, Allow: true, Protocol: "tcp", Ports: []model.PortRange{{First: 9, Last: 2}}},
		{Inbound: true, Allow: true, Protocol: "tcp", ICMPType: new(uint8)},
		{Inbound: true, Allow: true, Sets: []string{"nobody told of"}},
		{Inbound: true, Allow: true, Prefixes: []netip.Prefix{{}}},
	} {
		state := m.state()
		state.Firewalls = []model.Firewall{{ContainerID: "a", Rules: []model.FirewallRule{rule}}}
		if err := m.drivers["node-a"].SetNetworks(context.Background(), state); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}

func TestSpoofingIPv6IsDropped(t *testing.T) {
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
	honest := m.join("node-a", "alice", "honest", []model.Network{n}, open(0x22))
	if !reaches(evil, "fd07::11") || !reaches(honest, "fd07::11") || !reaches(honest, "fd07::66") {
		t.Fatal("honest traffic does not pass")
	}
	must := func(path, command string) {
		t.Helper()
		if out, err := run(path, command); err != nil {
			t.Fatalf("%s: %v %s", command, err, out)
		}
	}
	must(evil, "ip -6 address add fd07::99/64 dev eth0 nodad")
	if got := received(t, victim, evil, "[fd07::11]:9", "[fd07::66]:0", patience); got != "word" {
		t.Fatalf("an honest packet arrives as %q", got)
	}
	if got := received(t, victim, evil, "[fd07::11]:9", "[fd07::99]:0", quiet); got != "" {
		t.Errorf("a packet with a foreign source address arrives as %q", got)
	}
	must(evil, "ip -6 address del fd07::99/64 dev eth0")
	before := neighbour(t, honest, "fd07::11")
	advertise(t, evil, "fd07::22", "fd07::11")
	if after := neighbour(t, honest, "fd07::11"); after != before || before == "" {
		t.Errorf("a neighbour believes that the victim is %s, was %q", after, before)
	}
	for _, setting := range []string{"forwarding=0", "accept_ra=2", "disable_ipv6=1", "disable_ipv6=0"} {
		must(victim, "busybox sysctl -w net.ipv6.conf.eth0."+setting)
	}
	sendRouterAdvertisement(t, evil)
	if out, _ := run(victim, "ip -6 route"); strings.Contains(out, "fd66") || strings.Contains(out, "default") {
		t.Errorf("an advertisement of a router changed routes: %s", out)
	}
}

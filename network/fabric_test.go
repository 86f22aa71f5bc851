package network

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
)

// machines are nodes that are connected to each other, in a testbed: an
// underlay (a bridge "lan" in the namespace "switch" with 10.200.0.254) and
// for each node a NIC eth0 on it, besides ext0.
type machines struct {
	*testbed
	drivers map[string]*Driver
	places  map[string]netip.Addr // of nodes in the underlay
	members map[string][]model.Member
	views   map[string]model.Network
	walls   []model.Firewall
	sets    []model.AddressSet
	// apart has nodes that start resolve names in a process of its own, of this
	// version; "" has them do it in the test's.
	apart string
	// connections that one container may have; 0 is the kernel's room for them.
	connections int
}

func newMachines(t testing.TB, names ...string) *machines {
	t.Helper()
	m := &machines{
		testbed: newTestbed(t), drivers: map[string]*Driver{}, places: map[string]netip.Addr{},
		members: map[string][]model.Member{}, views: map[string]model.Network{},
	}
	m.in("switch", "ip link add lan type bridge forward_delay 0")
	m.in("switch", "ip link set lan up")
	m.in("switch", "ip address add 10.200.0.254/24 dev lan")
	for _, name := range names {
		m.plugIn(name)
		m.start(name)
	}
	return m
}

// plugIn makes a node without a driver.
func (m *machines) plugIn(name string) {
	m.t.Helper()
	m.node(name)
	m.in("switch", fmt.Sprintf("ip link add u-%s type veth peer name eth0 netns %s", name, m.path(name)))
	m.in("switch", fmt.Sprintf("ip link set u-%s master lan up", name))
	m.places[name] = netip.AddrFrom4([4]byte{10, 200, 0, byte(1 + len(m.places))})
	m.in(name, fmt.Sprintf("ip address add %s/24 dev eth0", m.places[name]))
	m.in(name, "ip link set eth0 up")
	m.in(name, "ip link set lo up")
	m.in(name, "ip route add default via 10.200.0.254")
}

func (m *machines) start(name string) {
	m.t.Helper()
	d, err := m.tryStart(name)
	if err != nil {
		m.t.Fatal(err)
	}
	m.drivers[name] = d
	m.t.Cleanup(func() {
		if m.drivers[name] == d {
			m.stop(name)
		}
	})
}

func (m *machines) tryStart(name string) (*Driver, error) {
	ns, err := os.Open(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	cfg := Config{
		RunDir: m.path("run-" + name), Uplinks: map[string]string{"external": "ext0"}, Underlay: m.places[name], Connections: m.connections,
		ResolvConf: m.path("resolv-" + name), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if m.apart != "" {
		cfg.NamesCommand, cfg.Version = []string{"nsenter", "--net=" + m.path(name), "--", os.Args[0], "names"}, m.apart
	}
	return openIn(context.Background(), cfg, ns)
}

// stop ends a node's driver and looks for what it left behind.
func (m *machines) stop(name string) {
	m.t.Helper()
	d := m.drivers[name]
	delete(m.drivers, name)
	boxes, _ := d.Sandboxes(context.Background())
	for _, id := range boxes {
		m.testbed.detach(d, id)
	}
	if err := d.Close(); err != nil {
		m.t.Error(err)
	}
	if left := m.census(name); left != nil {
		m.t.Errorf("left behind on %s: %q", name, left)
	}
	for _, link := range strings.Fields(m.in(name, "ip -br link show")) {
		if strings.HasPrefix(link, "sh") {
			m.t.Errorf("left behind on %s: interface %s", name, link)
		}
	}
	if out, err := run(m.path(name), "nft list tables"); err == nil && strings.Contains(out, "spearhead") {
		m.t.Errorf("left behind on %s: %s", name, out)
	}
}

// fabric describes a fabric with the given number and subnet.
func fabric(vni uint32, subnet string) model.Network {
	n := model.Network{
		ID: fmt.Sprintf("fabric-%d", vni), Name: fmt.Sprintf("net%d", vni), Kind: model.NetworkFabric, AccountID: "alice",
		VNI: vni, Subnet: netip.MustParsePrefix(subnet),
	}
	n.Gateway = n.Subnet.Addr().Next()
	return n
}

// nicOn is a NIC of a network with that last byte of its address.
func nicOn(n model.Network, link string, last byte) model.NIC {
	b := n.Subnet.Addr().As4()
	b[3] = last
	a := netip.AddrFrom4(b)
	nic := model.NIC{
		NetworkID: n.ID, Interface: link, MAC: ipam.MAC(n.ID, a), Address: netip.PrefixFrom(a, n.Subnet.Bits()),
		Gateway: n.Gateway, Primary: link == "eth0", Firewall: true,
	}
	if n.Subnet6.IsValid() {
		b := n.Subnet6.Addr().As16()
		b[15] = last
		nic.Address6, nic.Gateway6 = netip.PrefixFrom(netip.AddrFrom16(b), n.Subnet6.Bits()), n.Gateway6
	}
	return nic
}

// join attaches a container of an account on a node and tells all nodes of it.
func (m *machines) join(node, account, container string, networks []model.Network, nics ...model.NIC) string {
	m.t.Helper()
	path, err := m.drivers[node].Attach(context.Background(), Attachment{
		Container: container, Account: account, NICs: nics, Networks: networks, Resolver: true,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for i, nic := range nics {
		m.know(networks[i], model.Member{
			ContainerID: container, AccountID: account, Underlay: m.places[node], MAC: nic.MAC,
			Address: nic.Address.Addr(), Address6: nic.Address6.Addr(), Names: append([]string{container}, nic.Aliases...), Up: true,
		})
	}
	m.tell()
	return path
}

func (m *machines) know(n model.Network, who model.Member) {
	m.views[n.ID] = n
	m.members[n.ID] = append(m.members[n.ID], who)
}

// state is what heads would tell every node.
func (m *machines) state() model.NetworkState {
	s := model.NetworkState{Firewalls: m.walls, Sets: m.sets}
	for id, n := range m.views {
		s.Networks = append(s.Networks, model.NetworkView{Network: n, Members: m.members[id]})
	}
	return s
}

func (m *machines) tell() {
	m.t.Helper()
	for name, d := range m.drivers {
		if err := d.SetNetworks(context.Background(), m.state()); err != nil {
			m.t.Fatalf("telling %s: %v", name, err)
		}
	}
}

// forget takes a container out of what is told.
func (m *machines) forget(container string) {
	for id, members := range m.members {
		var left []model.Member
		for _, one := range members {
			if one.ContainerID != container {
				left = append(left, one)
			}
		}
		m.members[id] = left
		if left == nil {
			delete(m.views, id)
		}
	}
}

func TestAFabricSpansNodesAndMeetsNoOther(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b", "node-c")
	alice, bob := fabric(7, "10.7.0.0/24"), fabric(8, "10.7.0.0/24")
	bob.AccountID = "bob"
	a1 := m.join("node-a", "alice", "a1", []model.Network{alice}, nicOn(alice, "eth0", 11))
	a2 := m.join("node-a", "alice", "a2", []model.Network{alice}, nicOn(alice, "eth0", 12))
	a3 := m.join("node-b", "alice", "a3", []model.Network{alice}, nicOn(alice, "eth0", 13))
	b1 := m.join("node-b", "bob", "b1", []model.Network{bob}, nicOn(bob, "eth0", 11))
	m.join("node-c", "bob", "b2", []model.Network{bob}, nicOn(bob, "eth0", 13))
	wantPings(t, []ping{
		{"on one node", a1, "10.7.0.12", true},
		{"across nodes", a1, "10.7.0.13", true},
		{"back", a3, "10.7.0.11", true},
		{"another account across nodes", b1, "10.7.0.13", true},
		{"the gateway", a2, "10.7.0.1", true},
		{"an address of nobody", a3, "10.7.0.99", false},
		{"only the other account's", b1, "10.7.0.12", false},
		{"outside, by each node's own way", a1, "10.201.0.1", true},
		{"outside from the other node", a3, "10.201.0.1", true},
		{"the own node", a1, "10.200.0.1", false},
		{"another node", a1, "10.200.0.2", false},
		{"the own node by its other side", a1, "169.254.1.0", false},
		{"the cloud's secrets", a1, "169.254.169.254", false},
	}...)
	m.in("switch", "ip address add 198.51.100.9/24 dev lan")
	if !reaches(a1, "198.51.100.9") {
		t.Error("a stranger's machine is not reached")
	}
	m.sets = []model.AddressSet{{ID: model.MachinesSet, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.9/32"), netip.MustParsePrefix("2001:db8::9/128")}}}
	m.tell()
	wantPings(t, ping{"a head elsewhere", a1, "198.51.100.9", false}, ping{"outside", a1, "10.201.0.1", true})
	if mac1, mac2 := neighbour(t, a1, "10.7.0.1"), neighbour(t, a3, "10.7.0.1"); mac1 == "" || mac1 != mac2 {
		t.Errorf("the gateway is %s on one node and %s on another", mac1, mac2)
	}
}

// neighbour is the MAC that a namespace knows of an address.
func neighbour(t *testing.T, path, address string) string {
	t.Helper()
	out, err := run(path, "ip neighbour show "+address)
	if err != nil {
		t.Fatal(out)
	}
	_, mac, _ := strings.Cut(out, "lladdr ")
	mac, _, _ = strings.Cut(mac, " ")
	return mac
}

func TestAMovedContainerIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b", "node-c")
	n := fabric(7, "10.7.0.0/24")
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	m.join("node-b", "alice", "b", []model.Network{n}, nicOn(n, "eth0", 12))
	if !reaches(a, "10.7.0.12") {
		t.Fatal("not reached before it moved")
	}
	m.testbed.detach(m.drivers["node-b"], "b")
	m.forget("b")
	m.join("node-c", "alice", "b", []model.Network{n}, nicOn(n, "eth0", 12))
	if !reaches(a, "10.7.0.12") {
		t.Error("not reached after it moved")
	}
	// to the own node, before anybody tells so
	m.testbed.detach(m.drivers["node-c"], "b")
	if _, err := m.drivers["node-a"].Attach(context.Background(), Attachment{Container: "b", Account: "alice", NICs: []model.NIC{nicOn(n, "eth0", 12)}, Networks: []model.Network{n}}); err != nil {
		t.Fatal(err)
	}
	if !reaches(a, "10.7.0.12") {
		t.Error("not reached on the own node")
	}
	m.testbed.detach(m.drivers["node-a"], "b")
	m.forget("b")
	m.tell()
	if out := m.in("run-node-a/segments/fabric:7/netns", "bridge fdb show dev "+tunnelName); strings.Contains(out, ipam.MAC(n.ID, netip.MustParseAddr("10.7.0.12"))) {
		t.Errorf("a removed NIC is still known: %s", out)
	}
}

func TestANodeHasOnlyTheFabricsThatItNeeds(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	d := m.drivers["node-a"]
	m.testbed.detach(d, "a")
	m.forget("a")
	m.tell()
	if len(d.segments) != 0 {
		t.Errorf("left over: %v", d.segments)
	}
	if out := m.in("node-a", "ip -br link show"); strings.Contains(out, "shx7") {
		t.Errorf("the way out is left: %s", out)
	}
	again := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	if !reaches(again, "10.201.0.1") {
		t.Error("the fabric does not come back")
	}
}

func TestARestartFindsFabricsAgain(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	n := fabric(7, "10.7.0.0/24")
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	b := m.join("node-b", "alice", "b", []model.Network{n}, nicOn(n, "eth0", 12))
	m.drivers["node-a"].release() // as if killed
	m.start("node-a")
	if !reaches(a, "10.7.0.12") || !reaches(b, "10.7.0.11") {
		t.Error("a driver that starts, and was told nothing yet, disturbs what is there")
	}
	if have := m.drivers["node-a"].segments["fabric:7"].tunnel.have; len(have) != 1 {
		t.Errorf("it reads %v of the kernel", have)
	}
	m.tell()
	if !reaches(a, "10.7.0.12") || !reaches(a, "10.201.0.1") {
		t.Error("a driver that was told anew disturbs what is there")
	}
}

func TestInternalFabricsHaveNoWayOut(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	n := fabric(7, "10.7.0.0/24")
	n.Internal = true
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	m.join("node-b", "alice", "b", []model.Network{n}, nicOn(n, "eth0", 12))
	wantPings(t, ping{"across nodes", a, "10.7.0.12", true}, ping{"outside", a, "10.201.0.1", false}, ping{"a gateway", a, "10.7.0.1", false})
	if out, _ := run(a, "ip route"); strings.Contains(out, "default") {
		t.Errorf("a default route that leads nowhere: %s", out)
	}
}

func TestContainersConnectAndDisconnectWhileTheyRun(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	one, two := fabric(7, "10.7.0.0/24"), fabric(8, "10.8.0.0/24")
	first, second := nicOn(one, "eth0", 11), nicOn(two, "eth1", 11)
	path := m.join("node-a", "alice", "a", []model.Network{one}, first)
	m.join("node-b", "alice", "b", []model.Network{two}, nicOn(two, "eth0", 12))
	d := m.drivers["node-a"]
	attach := func(networks []model.Network, nics ...model.NIC) {
		t.Helper()
		again, err := d.Attach(context.Background(), Attachment{Container: "a", Account: "alice", NICs: nics, Networks: networks})
		if err != nil || again != path {
			t.Fatalf("%s: %v", again, err)
		}
	}
	attach([]model.Network{one, two}, first, second)
	m.know(two, model.Member{ContainerID: "a", AccountID: "alice", Underlay: m.places["node-a"], MAC: second.MAC, Address: second.Address.Addr(), Up: true})
	m.tell()
	wantPings(t, ping{"the network that it joined", path, "10.8.0.12", true}, ping{"outside", path, "10.201.0.1", true})
	if out, _ := run(path, "ip route"); !strings.Contains(out, "default via 10.7.0.1 dev eth0") {
		t.Errorf("the default route moved: %s", out)
	}
	second.Primary = true
	attach([]model.Network{two}, second)
	if out, _ := run(path, "ip route"); !strings.Contains(out, "default via 10.8.0.1 dev eth1") || strings.Contains(out, "eth0") {
		t.Errorf("without its first network it has the routes %s", out)
	}
	wantPings(t, ping{"outside by the other network", path, "10.201.0.1", true}, ping{"the network that it left", path, "10.7.0.1", false})
	attach(nil)
	if out, _ := run(path, "ip -br link"); strings.Contains(out, "eth") {
		t.Errorf("on no network it has %s", out)
	}
}

func TestFabricsSpeakIPv6(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	n := fabric(7, "10.7.0.0/24")
	n.Subnet6, n.Gateway6 = netip.MustParsePrefix("fd07::/64"), netip.MustParseAddr("fd07::1")
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 0x11))
	m.join("node-a", "alice", "b", []model.Network{n}, nicOn(n, "eth0", 0x12))
	m.join("node-b", "alice", "c", []model.Network{n}, nicOn(n, "eth0", 0x13))
	wantPings(t, ping{"on one node", a, "fd07::12", true}, ping{"across nodes", a, "fd07::13", true}, ping{"the gateway", a, "fd07::1", true})
}

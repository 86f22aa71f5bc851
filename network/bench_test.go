package network

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// BenchmarkAttachWithAll is a NIC on a fabric as tenants have it: with
// firewall, open ports and a resolver.
func BenchmarkAttachWithAll(b *testing.B) {
	m := newMachines(b, "node-a")
	d, n := m.drivers["node-a"], fabric(7, "10.7.0.0/24")
	m.join("node-a", "alice", "warm", []model.Network{n}, nicOn(n, "eth0", 250))
	nic := nicOn(n, "eth0", 11)
	nic.Ports = []model.PortMap{{Protocol: "tcp", Port: 80, Target: 80}, {Protocol: "tcp", Port: 8080, Target: 80}}
	a := Attachment{Container: "one", Account: "alice", NICs: []model.NIC{nic}, Networks: []model.Network{n}, Resolver: true}
	var attach, detach time.Duration
	best := time.Hour
	for b.Loop() {
		begun := time.Now()
		if _, err := d.Attach(context.Background(), a); err != nil {
			b.Fatal(err)
		}
		attached := time.Now()
		best = min(best, attached.Sub(begun))
		m.testbed.detach(d, "one")
		attach, detach = attach+attached.Sub(begun), detach+time.Since(attached)
	}
	b.ReportMetric(float64(attach.Microseconds())/float64(b.N), "µs/attach")
	b.ReportMetric(float64(best.Microseconds()), "µs/best-attach")
	b.ReportMetric(float64(detach.Microseconds())/float64(b.N), "µs/detach")
}

// BenchmarkFirstOnAFabric also makes the fabric on the node.
func BenchmarkFirstOnAFabric(b *testing.B) {
	m := newMachines(b, "node-a")
	d, n := m.drivers["node-a"], fabric(7, "10.7.0.0/24")
	var attach time.Duration
	for b.Loop() {
		begun := time.Now()
		_, err := d.Attach(context.Background(), Attachment{Container: "one", Account: "alice", NICs: []model.NIC{nicOn(n, "eth0", 11)}, Networks: []model.Network{n}, Resolver: true})
		attach += time.Since(begun)
		if err != nil {
			b.Fatal(err)
		}
		m.testbed.detach(d, "one")
		m.tell()
	}
	b.ReportMetric(float64(attach.Microseconds())/float64(b.N), "µs/attach")
}

// BenchmarkTold is a change of one NIC among a thousand on other nodes, as it
// is told and acted by.
func BenchmarkTold(b *testing.B) {
	m := newMachines(b, "node-a")
	n := fabric(7, "10.7.0.0/16")
	m.join("node-a", "alice", "one", []model.Network{n}, nicOn(n, "eth0", 11))
	for i := range 1000 {
		m.know(n, model.Member{
			ContainerID: fmt.Sprint("c", i), AccountID: "alice", Underlay: m.places["node-a"].Next(), MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255),
			Address: addr4(10, 7, byte(1+i>>8), byte(i)), Names: []string{fmt.Sprint("name", i)}, Up: true,
		})
	}
	m.tell()
	last := &m.members[n.ID][1000]
	for i := byte(0); b.Loop(); i = 1 - i {
		last.Underlay = addr4(10, 200, 0, 10+i)
		m.tell()
	}
}

// BenchmarkThroughput is what TCP carries between two containers, as they are
// here and as they would be connected by hand: veths on a bridge, and a VXLAN
// between two bridges.
func BenchmarkThroughput(b *testing.B) {
	const bytes = 1 << 30
	m := newMachines(b, "node-a", "node-b")
	n := fabric(7, "10.7.0.0/24")
	one := m.join("node-a", "alice", "one", []model.Network{n}, nicOn(n, "eth0", 11))
	two := m.join("node-a", "alice", "two", []model.Network{n}, nicOn(n, "eth0", 12))
	three := m.join("node-b", "alice", "three", []model.Network{n}, nicOn(n, "eth0", 13))
	byHand(m)
	for _, c := range []struct{ name, from, to, address string }{
		{"one-node/ours", one, two, "10.7.0.12:9"}, {"one-node/by-hand", m.path("hand-1"), m.path("hand-2"), "10.9.0.2:9"},
		{"two-nodes/ours", one, three, "10.7.0.13:9"}, {"two-nodes/by-hand", m.path("hand-1"), m.path("hand-3"), "10.9.0.3:9"},
	} {
		b.Run(c.name, func(b *testing.B) {
			var rate float64
			for b.Loop() {
				rate = max(rate, carries(b, c.from, c.to, c.address, bytes))
			}
			b.ReportMetric(rate/1e6, "MB/s")
		})
	}
}

// byHand connects hand-1 and hand-2 on node-a and hand-3 on node-b.
func byHand(m *machines) {
	for i, name := range []string{"hand-1", "hand-2", "hand-3"} {
		node := []string{"node-a", "node-a", "node-b"}[i]
		m.namespace(name)
		if i != 1 {
			m.in(node, "ip link add hand type bridge forward_delay 0")
			m.in(node, "ip link set hand up")
			m.in(node, fmt.Sprintf("ip link add handx type vxlan id 99 dstport 4790 local %s remote %s", m.places[node], m.places[[]string{"node-b", "", "node-a"}[i]]))
			m.in(node, "ip link set handx master hand up")
		}
		m.in(node, fmt.Sprintf("ip link add h%d type veth peer name eth0 netns %s", i, m.path(name)))
		m.in(node, fmt.Sprintf("ip link set h%d mtu 1450 master hand up", i))
		m.in(name, fmt.Sprintf("ip address add 10.9.0.%d/24 dev eth0", i+1))
		m.in(name, "ip link set eth0 mtu 1450 up")
	}
}

func addr4(a, b, c, d byte) netip.Addr { return netip.AddrFrom4([4]byte{a, b, c, d}) }

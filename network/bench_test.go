package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// BenchmarkAttachWithAll is a NIC on a fabric as tenants have it: with
// firewall, open ports and a resolver, which is another process's.
func BenchmarkAttachWithAll(b *testing.B) {
	m := newMachinesApart(b, "node-a")
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

// BenchmarkAttachInARow is BenchmarkAttachWithAll without anybody leaving
// meanwhile: who leaves has the kernel take down a namespace, which holds locks
// that who comes needs, too.
func BenchmarkAttachInARow(b *testing.B) {
	m := newMachinesApart(b, "node-a")
	d, n := m.drivers["node-a"], fabric(7, "10.7.0.0/16")
	m.join("node-a", "alice", "warm", []model.Network{n}, nicOn(n, "eth0", 250))
	var took []float64
	for i := 0; b.Loop(); i++ {
		nic := nicOn(n, "eth0", 11)
		a := addr4(10, 7, byte(1+i/200), byte(1+i%200))
		nic.Address, nic.MAC = netip.PrefixFrom(a, 16), fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255)
		nic.Ports = []model.PortMap{{Protocol: "tcp", Port: 80, Target: 80}, {Protocol: "tcp", Port: 8080, Target: 80}}
		begun := time.Now()
		_, err := d.Attach(context.Background(), Attachment{
			Container: fmt.Sprint("c", i), Account: "alice", NICs: []model.NIC{nic}, Networks: []model.Network{n}, Resolver: true,
		})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, float64(time.Since(begun).Microseconds()))
	}
	b.ReportMetric(median(took), "µs/median")
	b.ReportMetric(took[0], "µs/best") // median has sorted them
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

// BenchmarkBesideByHand is what TCP carries between two containers, and how
// long a byte and its echo take, beside what they would be connected by hand:
// veths on a bridge, and a VXLAN between two bridges. Each round measures both,
// one right after the other, so that whatever else the machine does befalls
// both; the medians of their ratios are told.
func BenchmarkBesideByHand(b *testing.B) {
	const bytes, echoes = 128 << 20, 1000
	m := newMachines(b, "node-a", "node-b")
	n := fabric(7, "10.7.0.0/24")
	one := m.join("node-a", "alice", "one", []model.Network{n}, nicOn(n, "eth0", 11))
	two := m.join("node-a", "alice", "two", []model.Network{n}, nicOn(n, "eth0", 12))
	three := m.join("node-b", "alice", "three", []model.Network{n}, nicOn(n, "eth0", 13))
	byHand(m)
	type pair struct{ from, to, address string }
	for _, c := range []struct {
		name       string
		ours, hand pair
	}{
		{"one-node", pair{one, two, "10.7.0.12:9"}, pair{m.path("hand-1"), m.path("hand-2"), "10.9.0.2:9"}},
		{"two-nodes", pair{one, three, "10.7.0.13:9"}, pair{m.path("hand-1"), m.path("hand-3"), "10.9.0.3:9"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var rates, turns, ours []float64
			for i := 0; b.Loop(); i++ {
				measure := func(p pair) (rate, turn float64) {
					return carries(b, p.from, p.to, p.address, bytes), turnaround(b, p.from, p.to, p.address, echoes)
				}
				first, second := c.ours, c.hand
				if i%2 == 1 {
					first, second = second, first
				}
				rate1, turn1 := measure(first)
				rate2, turn2 := measure(second)
				if i%2 == 1 {
					rate1, rate2, turn1, turn2 = rate2, rate1, turn2, turn1
				}
				rates, turns, ours = append(rates, rate1/rate2), append(turns, turn1/turn2), append(ours, turn1)
			}
			b.ReportMetric(median(rates), "of-its-rate")
			b.ReportMetric(median(turns), "of-its-turnaround")
			b.ReportMetric(median(ours), "µs/turnaround")
		})
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// turnaround is how many microseconds one byte and its echo take by TCP.
func turnaround(t testing.TB, from, to, address string, times int) float64 {
	t.Helper()
	var l net.Listener
	if err := inside(t, to, func() (err error) { l, err = net.Listen("tcp", address); return err }); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer l.Close()
	serving.Go(func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	})
	var c net.Conn
	if err := inside(t, from, func() (err error) { c, err = net.Dial("tcp", address); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begun, one := time.Now(), make([]byte, 1)
	for range times {
		if _, err := c.Write(one); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	return float64(time.Since(begun).Microseconds()) / float64(times)
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

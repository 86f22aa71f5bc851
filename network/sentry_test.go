package network

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// rawUDP is a whole frame with a datagram in it, as a program writes it that
// means to pass by the firewall of its own namespace.
func rawUDP(from, to net.HardwareAddr, source, destination netip.AddrPort, word string) []byte {
	f := append(append([]byte{}, to...), from...)
	f = append(f, 0x08, 0x00)
	head := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(28+len(word)))
	head = append(append(head, source.Addr().AsSlice()...), destination.Addr().AsSlice()...)
	sum := uint32(0)
	for i := 0; i < len(head); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(head[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(head[10:], ^uint16(sum))
	f = append(f, head...)
	f = binary.BigEndian.AppendUint16(f, source.Port())
	f = binary.BigEndian.AppendUint16(f, destination.Port())
	f = binary.BigEndian.AppendUint16(f, uint16(8+len(word)))
	return append(append(f, 0, 0), word...) // without a checksum (RFC 768)
}

func macOf(t testing.TB, path, link string) net.HardwareAddr {
	t.Helper()
	var mac net.HardwareAddr
	err := inside(t, path, func() error {
		i, err := net.InterfaceByName(link)
		if err == nil {
			mac = i.HardwareAddr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

// heardRaw sends a frame out of a container and returns what arrives of it at a
// port of the switch.
func heardRaw(t *testing.T, m *machines, from string, frame []byte, port uint16, in time.Duration) string {
	t.Helper()
	var l net.PacketConn
	at := netip.AddrPortFrom(addr4(10, 201, 0, 1), port).String()
	if err := inside(t, m.path("switch"), func() (err error) { l, err = net.ListenPacket("udp4", at); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sendFrame(t, from, "eth0", frame)
	l.SetReadDeadline(time.Now().Add(in))
	b := make([]byte, 64)
	n, _, _ := l.ReadFrom(b)
	return string(b[:n])
}

// TestRawFramesDoNotPassByRules: a program that is root in its container writes
// frames itself, behind its own firewall.
func TestRawFramesDoNotPassByRules(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := m.network
	public := nicOn(n, "eth0", 21)
	public.Ports = []model.PortMap{{Protocol: "udp", Port: 53, Target: 53}, {Protocol: "udp", Port: 5353, Target: 99}}
	a := m.join("node-a", "alice", "a", []model.Network{n}, public)
	own := m.join("node-a", "alice", "own", []model.Network{n}, nicOn(n, "eth0", 22))
	world := m.path("switch")
	gateway := macOf(t, world, "sw0")
	mac, err := net.ParseMAC(public.MAC)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(source, port uint16) []byte {
		return rawUDP(mac, gateway, netip.AddrPortFrom(addr4(10, 201, 0, 21), source), netip.AddrPortFrom(addr4(10, 201, 0, 1), port), "word")
	}
	if !reaches(a, "10.201.0.1") {
		t.Fatal("honest traffic does not pass")
	}
	if got := heardRaw(t, m, a, frame(7, 1007), 1007, patience); got != "word" {
		t.Fatalf("without rules a raw frame arrives as %q", got)
	}
	m.walls = []model.Firewall{{ContainerID: "a", Rules: []model.FirewallRule{
		{Allow: true, Protocol: "udp", Ports: []model.PortRange{{First: 1000, Last: 1001}}},
		{Allow: true, Protocol: "tcp", Sets: []string{"friends"}, Ports: []model.PortRange{{First: 80, Last: 80}}},
		{}, // nothing else goes out
	}}}
	m.sets = []model.AddressSet{{ID: "friends", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.201.0.1/32")}}}
	m.tell()
	listens(t, world, "tcp", "10.201.0.1:80", "switch")
	listens(t, world, "tcp", "10.201.0.1:81", "switch")
	listens(t, world, "udp", "10.201.0.1:1000", "switch")
	listens(t, a, "udp", ":53", "dns")
	listens(t, a, "udp", ":99", "moved")
	listens(t, a, "tcp", ":99", "own")
	if got := heardRaw(t, m, a, frame(8, 1007), 1007, quiet); got != "" {
		t.Errorf("a raw frame that a rule blocks arrives as %q", got)
	}
	if got := heardRaw(t, m, a, frame(8, 1001), 1001, patience); got != "word" {
		t.Errorf("a raw frame that a rule allows arrives as %q", got)
	}
	// What the world asked without being let in makes no way for an answer.
	if got := hears(t, world, "udp", "10.201.0.21:1234", quiet); got != "" {
		t.Errorf("a closed port answers %q", got)
	}
	wantFlows(t,
		flow{"answers of an open port", world, "udp", "10.201.0.21:53", "dns"},
		flow{"answers of a mapped port", world, "udp", "10.201.0.21:5353", "moved"},
		flow{"answers to an own container", own, "tcp", "10.201.0.21:99", "own"},
		flow{"out by a rule", a, "udp", "10.201.0.1:1000", "switch"},
		flow{"out by a rule with a set", a, "tcp", "10.201.0.1:80", "switch"},
		flow{"out against the rules", a, "tcp", "10.201.0.1:81", ""},
	)
	wantPings(t, ping{"an echo", world, "10.201.0.21", true}, ping{"an echo out", a, "10.201.0.1", false})
	m.sets[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("10.201.0.22/31")}
	m.tell()
	wantFlows(t, flow{"by a set that changed", a, "tcp", "10.201.0.1:80", ""}, flow{"by a rule", a, "udp", "10.201.0.1:1000", "switch"})

	d := m.drivers["node-a"]
	tables := func() string { return m.in("run-node-a/segments/external.0/netns", "nft list tables netdev") }
	d.release()
	m.start("node-a")
	d = m.drivers["node-a"]
	m.tell()
	wantFlows(t, flow{"after a restart", a, "udp", "10.201.0.1:1000", "switch"}, flow{"and not", a, "tcp", "10.201.0.1:81", ""})
	if got := heardRaw(t, m, a, frame(8, 1007), 1007, quiet); got != "" {
		t.Errorf("after a restart a raw frame arrives as %q", got)
	}
	m.walls = nil
	m.tell()
	if out := tables(); strings.Contains(out, "sentry") {
		t.Errorf("without rules there is %s", out)
	}
	wantFlows(t, flow{"without rules", a, "tcp", "10.201.0.1:81", "switch"})
	m.walls = []model.Firewall{{ContainerID: "a", Rules: []model.FirewallRule{{Protocol: "tcp"}}}}
	m.tell()
	m.testbed.detach(d, "a")
	m.walls = nil
	m.forget("a")
	m.tell()
	if out := tables(); strings.Contains(out, "sentry") {
		t.Errorf("of a container that is gone there is %s", out)
	}
}

// TestLargeAnswersPassPieceByPiece where nothing but answers goes out.
func TestLargeAnswersPassPieceByPiece(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := m.network
	public := nicOn(n, "eth0", 21)
	public.Ports = []model.PortMap{{Protocol: "udp", Port: 53, Target: 53}}
	a := m.join("node-a", "alice", "a", []model.Network{n}, public)
	m.walls = []model.Firewall{{ContainerID: "a", Rules: []model.FirewallRule{{}}}}
	m.tell()
	echoes(t, a, ":53", strings.Repeat("large", 1000))
	var c net.Conn
	err := inside(t, m.path("switch"), func() (err error) { c, err = net.Dial("udp", "10.201.0.21:53"); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 8192)
	eventually(t, "no large answer", func() bool {
		c.Write([]byte("?"))
		c.SetReadDeadline(time.Now().Add(time.Second))
		n, _ := c.Read(b)
		return n == 5000
	})
}

// TestRatesHoldForRawFrames that pass by the queue inside (PACKET_QDISC_BYPASS).
func TestRatesHoldForRawFrames(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	limited := nicOn(n, "eth0", 11)
	limited.Rate = 8_000_000 // 1 MB a second
	evil := m.join("node-a", "alice", "evil", []model.Network{n}, limited)
	sink := m.join("node-a", "alice", "sink", []model.Network{n}, nicOn(n, "eth0", 12))
	if !reaches(evil, "10.7.0.12") {
		t.Fatal("honest traffic does not pass")
	}
	mac, _ := net.ParseMAC(limited.MAC)
	frame := rawUDP(mac, macOf(t, sink, "eth0"), netip.MustParseAddrPort("10.7.0.11:9"), netip.MustParseAddrPort("10.7.0.12:9"), strings.Repeat("x", 1400))
	fd := packetSocket(t, evil, "eth0")
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		t.Fatal(err)
	}
	before, begun := receivedBytes(t, sink), time.Now()
	for range 20_000 { // 29 MB
		unix.Write(fd, frame)
	}
	got, most := receivedBytes(t, sink)-before, 1.1e6*(time.Since(begun).Seconds()+1)+5e5
	if float64(got) > most {
		t.Errorf("%d bytes arrived, at most %.0f may", got, most)
	}
}

func receivedBytes(t *testing.T, path string) (n int64) {
	t.Helper()
	h, err := openPinned(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	link, err := h.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	return int64(link.Attrs().Statistics.RxBytes)
}

// TestSentriesOfTheKilledGo: those whose port was never recorded, or is gone.
func TestSentriesOfTheKilledGo(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := m.network
	m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 21))
	m.in("run-node-a/segments/external.0/netns", "nft add table netdev sentry-shdeadbeef")
	m.drivers["node-a"].release()
	m.start("node-a")
	if out := m.in("run-node-a/segments/external.0/netns", "nft list tables netdev"); strings.Contains(out, "dead") {
		t.Errorf("left over: %s", out)
	}
	_, err := m.drivers["node-a"].Attach(context.Background(), Attachment{Container: "a", Account: "alice", NICs: []model.NIC{nicOn(n, "eth0", 21)}, Networks: []model.Network{n}})
	if err != nil {
		t.Error(err)
	}
}

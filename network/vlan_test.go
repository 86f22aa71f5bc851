package network

import (
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// trunk sniffs a link for tagged frames, and collects their tags.
type trunk struct {
	mu   sync.Mutex
	tags map[uint16]int
}

// listen reads all frames that a link of a namespace carries, until the test
// ends. The kernel takes tags off what it receives: they are told beside it.
func sniffTags(t testing.TB, path, link string) *trunk {
	t.Helper()
	s := &trunk{tags: map[uint16]int{}}
	fd := packetSocket(t, path, link)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "trunk")
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		frame, beside := make([]byte, 2048), make([]byte, 256)
		_ = raw.Read(func(fd uintptr) bool { // ends when f is closed
			for {
				n, oob, _, _, err := unix.Recvmsg(int(fd), frame, beside, unix.MSG_DONTWAIT)
				if err != nil {
					return false
				}
				s.count(frame[:n], beside[:oob])
			}
		})
	})
	t.Cleanup(func() { f.Close(); reading.Wait() })
	return s
}

// tagShown says that tp_vlan_tci of struct tpacket_auxdata means something.
const tagShown = 1 << 4

func (s *trunk) count(frame, beside []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(frame) > 16 && frame[12] == 0x81 && frame[13] == 0 {
		s.tags[uint16(frame[14])<<8|uint16(frame[15])]++
		return
	}
	messages, err := unix.ParseSocketControlMessage(beside)
	if err != nil {
		return
	}
	for _, m := range messages {
		if aux := m.Data; len(aux) >= 18 && aux[0]&tagShown != 0 {
			s.tags[uint16(aux[17])<<8|uint16(aux[16])]++
			return
		}
	}
	s.tags[0]++
}

func (s *trunk) saw(tag uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags[tag]
}

// packetSocket opens a link of a namespace for raw frames.
func packetSocket(t testing.TB, path, link string) (fd int) {
	t.Helper()
	err := inside(t, path, func() (err error) {
		i, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		all := int(uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8)
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: i.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// sendFrame sends a frame as it is out of a namespace's link.
func sendFrame(t testing.TB, path, link string, frame []byte) {
	t.Helper()
	fd := packetSocket(t, path, link)
	defer unix.Close(fd)
	if _, err := unix.Write(fd, frame); err != nil {
		t.Fatal(err)
	}
}

// vlanOf is an external network on a VLAN of the machines' NICs.
func vlanOf(name string, id uint16) model.Network {
	n := testNetwork()
	n.ID, n.Name, n.VLAN = name, name, id
	return n
}

// hasVLANs reports whether this machine's kernel has them.
func hasVLANs(m *machines) bool {
	_, err := run(m.path("switch"), "ip link add link sw0 name probe type vlan id 5")
	if err == nil {
		m.in("switch", "ip link del probe")
	}
	return err == nil
}

func needVLANs(t *testing.T, m *machines) {
	t.Helper()
	if !hasVLANs(m) {
		t.Skip("needs VLANs: this kernel has no 8021q (modprobe 8021q)")
	}
}

// TestNodesWithoutVLANsSaySo, and keep nothing of what they refuse.
func TestNodesWithoutVLANsSaySo(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	if hasVLANs(m) {
		t.Skip("needs a kernel without VLANs")
	}
	n := vlanOf("red", 100)
	_, err := m.drivers["node-a"].Attach(t.Context(), Attachment{Container: "one", NICs: []model.NIC{nicOn(n, "eth0", 11)}, Networks: []model.Network{n}})
	if !model.IsKind(err, model.KindUnavailable) || !strings.Contains(err.Error(), "8021q") {
		t.Errorf("refused with %v", err)
	}
	m.stop("node-a")
}

// TestVLANsShareANICAndNothingElse: networks with the same addresses on two
// VLANs and on the wire itself, of two nodes and a router, on a trunk whose
// frames are looked at.
func TestVLANsShareANICAndNothingElse(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	needVLANs(t, m)
	plain, red, blue := m.network, vlanOf("red", 100), vlanOf("blue", 200)
	m.namespace("router")
	m.in("switch", "ip link add router type veth peer name trunk netns "+m.path("router"))
	m.in("switch", "ip link set router master sw0 up")
	m.in("router", "ip link set trunk up")
	for link, tag := range map[string]string{"red": "100", "blue": "200"} {
		m.in("router", "ip link add link trunk name "+link+" type vlan id "+tag)
		m.in("router", "ip link set "+link+" up")
	}
	m.in("router", "ip address add 10.201.0.254/24 dev red")
	// The VLAN comes before the wire itself on one node, and after it on the other.
	red1 := m.join("node-a", "alice", "red1", []model.Network{red}, nicOn(red, "eth0", 11))
	plain1 := m.join("node-a", "alice", "plain1", []model.Network{plain}, nicOn(plain, "eth0", 13))
	plain2 := m.join("node-b", "alice", "plain2", []model.Network{plain}, nicOn(plain, "eth0", 14))
	red2 := m.join("node-b", "alice", "red2", []model.Network{red}, nicOn(red, "eth0", 12))
	blue1 := m.join("node-a", "alice", "blue1", []model.Network{blue}, nicOn(blue, "eth0", 11))
	blue2 := m.join("node-b", "alice", "blue2", []model.Network{blue}, nicOn(blue, "eth0", 15))
	seen := sniffTags(t, m.path("switch"), "p-node-a")
	wantPings(t,
		ping{"across nodes on a VLAN", red1, "10.201.0.12", true}, ping{"the VLAN's router", red2, "10.201.0.254", true},
		ping{"across nodes on the other VLAN", blue2, "10.201.0.11", true},
		ping{"across nodes on the wire itself", plain1, "10.201.0.14", true},
		ping{"the other VLAN", red1, "10.201.0.15", false}, ping{"from the wire to a VLAN", plain2, "10.201.0.12", false},
		ping{"from a VLAN to the wire", blue1, "10.201.0.14", false}, ping{"the router of another VLAN", blue1, "10.201.0.254", false},
	)
	for _, tag := range []uint16{0, 100, 200} {
		if seen.saw(tag) == 0 {
			t.Errorf("no frame with the tag %d on the trunk: %v", tag, seen.tags)
		}
	}
	hopping(t, m, plain1, plain2, red1)
	m.testbed.detach(m.drivers["node-a"], "plain1")
	m.forget("plain1")
	m.tell()
	wantPings(t, ping{"on a VLAN, when the wire itself has nobody", red1, "10.201.0.12", true})
}

// hopping has containers send tagged frames, which lead nowhere, and looks for
// frames of other VLANs in a container on the wire itself.
func hopping(t *testing.T, m *machines, plain1, plain2, red1 string) {
	t.Helper()
	seen, inside := sniffTags(t, m.path("switch"), "p-node-a"), sniffTags(t, plain2, "eth0")
	tagged := func(tag byte) []byte { // to everybody, from the container's own MAC
		mac, err := net.ParseMAC(nicOn(m.network, "eth0", 13).MAC)
		if err != nil {
			t.Fatal(err)
		}
		frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac...)
		return append(append(frame, 0x81, 0, 0, tag, 0x08, 0x00), make([]byte, 46)...)
	}
	sendFrame(t, plain1, "eth0", tagged(77))
	sendFrame(t, red1, "eth0", tagged(78))
	sendFrame(t, m.path("router"), "trunk", tagged(79))
	eventually(t, "the router's frame does not come", func() bool { return seen.saw(79) > 0 })
	// What comes behind them on the same ways shows that they have come, or never will.
	before, within := seen.saw(0), inside.saw(0)
	wantPings(t, ping{"behind it", plain1, "10.201.0.14", true}, ping{"behind the other", red1, "10.201.0.12", true})
	eventually(t, "what comes behind is not seen", func() bool { return seen.saw(0) > before && inside.saw(0) > within })
	for _, tag := range []uint16{77, 78} {
		if seen.saw(tag) > 0 {
			t.Errorf("a container's frame with the tag %d leaves the node", tag)
		}
	}
	if inside.saw(79) > 0 || inside.saw(100) > 0 {
		t.Errorf("a container on the wire itself sees other VLANs: %v", inside.tags)
	}
}

// TestVLANsAreFoundAgain by a driver that starts, and leave nothing.
func TestVLANsAreFoundAgain(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a", "node-b")
	needVLANs(t, m)
	red, plain := vlanOf("red", 100), m.network
	one := m.join("node-a", "alice", "one", []model.Network{red, plain}, nicOn(red, "eth0", 11), nicOn(plain, "eth1", 11))
	m.join("node-b", "alice", "two", []model.Network{red}, nicOn(red, "eth0", 12))
	m.drivers["node-a"].release()
	m.start("node-a")
	m.tell()
	wantPings(t, ping{"after a restart", one, "10.201.0.12", true})
	m.testbed.detach(m.drivers["node-a"], "one")
	m.forget("one")
	m.stop("node-a")
	m.in("node-a", "ip link show ext0") // it was given back
	m.start("node-a")
	one = m.join("node-a", "alice", "one", []model.Network{red}, nicOn(red, "eth0", 11))
	wantPings(t, ping{"once more", one, "10.201.0.12", true})
}

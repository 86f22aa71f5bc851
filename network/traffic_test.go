package network

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// quiet is how long a test waits for what must not come, and patience for what
// must.
const (
	quiet    = 400 * time.Millisecond
	patience = 10 * time.Second
)

// inside runs f in the namespace at path.
func inside(t testing.TB, path string, f func() error) error {
	t.Helper()
	ns, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	return namespace.Enter(ns, f)
}

// listens has a namespace say word to whom connects, by TCP or UDP.
func listens(t testing.TB, path, network, address, word string) {
	t.Helper()
	if network == "udp" {
		echoes(t, path, address, word)
		return
	}
	var l net.Listener
	if err := inside(t, path, func() (err error) { l, err = net.Listen(network, address); return err }); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, word)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
}

// echoes has a namespace answer each datagram by word.
func echoes(t testing.TB, path, address, word string) {
	t.Helper()
	var p net.PacketConn
	if err := inside(t, path, func() (err error) { p, err = net.ListenPacket("udp", address); return err }); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		var b [512]byte
		for {
			_, from, err := p.ReadFrom(b[:])
			if err != nil {
				return
			}
			p.WriteTo([]byte(word), from)
		}
	})
	t.Cleanup(func() { p.Close(); serving.Wait() })
}

// hears is the word that a namespace gets in time when it connects, or "".
func hears(t testing.TB, path, network, address string, in time.Duration) string {
	t.Helper()
	var c net.Conn
	err := inside(t, path, func() (err error) {
		c, err = (&net.Dialer{Timeout: in}).Dial(network, address)
		return err
	})
	if err != nil {
		return ""
	}
	defer c.Close()
	if network == "udp" {
		io.WriteString(c, "?")
	}
	c.SetDeadline(time.Now().Add(in))
	b := make([]byte, 512)
	n, _ := c.Read(b)
	return string(b[:n])
}

// flow is one attempt, and the word that is wanted of it: "" is none.
type flow struct {
	name, from, network, to string
	want                    string
}

// wantFlows tries all at once, so that those which must not come cost one wait.
func wantFlows(t *testing.T, flows ...flow) {
	t.Helper()
	var all sync.WaitGroup
	for _, f := range flows {
		all.Go(func() {
			in := patience
			if f.want == "" {
				in = quiet
			}
			if got := hears(t, f.from, f.network, f.to, in); got != f.want {
				t.Errorf("%s: %s to %s hears %q, want %q", f.name, f.network, f.to, got, f.want)
			}
		})
	}
	all.Wait()
}

// ping is one attempt to reach an address, and whether it must succeed.
type ping struct {
	name, from, to string
	want           bool
}

func wantPings(t *testing.T, pings ...ping) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range pings {
		all.Go(func() {
			got := reaches(p.from, p.to)
			for tries := 0; p.want && !got && tries < 4; tries++ {
				got = reaches(p.from, p.to) // a busy machine may be late
			}
			if got != p.want {
				t.Errorf("%s: reaches %s is %v, want %v", p.name, p.to, got, p.want)
			}
		})
	}
	all.Wait()
}

// received is the word that arrives at an address in one namespace when another
// one sends it by UDP from an address of its choice, or "" if none does in time.
func received(t testing.TB, at, from, to, as string, in time.Duration) string {
	t.Helper()
	var l, c net.PacketConn
	if err := inside(t, at, func() (err error) { l, err = net.ListenPacket("udp6", to); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := inside(t, from, func() (err error) { c, err = net.ListenPacket("udp6", as); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WriteTo([]byte("word"), l.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	l.SetReadDeadline(time.Now().Add(in))
	b := make([]byte, 16)
	n, _, _ := l.ReadFrom(b)
	return string(b[:n])
}

// advertise tells a neighbour, out of a namespace's eth0, that an address has
// the MAC of that.
func advertise(t testing.TB, path, neighbour, address string) {
	t.Helper()
	a, to := netip.MustParseAddr(address).As16(), netip.MustParseAddr(neighbour).As16()
	sendICMP6(t, path, to, func(mac net.HardwareAddr) []byte {
		m := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, a[:]...) // override what is known
		return append(append(m, 2, 1), mac...)
	})
}

// sendRouterAdvertisement sends one for the prefix fd66::/64 out of a
// namespace's eth0.
func sendRouterAdvertisement(t testing.TB, path string) {
	t.Helper()
	sendICMP6(t, path, [16]byte{0xff, 2, 15: 1}, func(net.HardwareAddr) []byte {
		m := make([]byte, 16, 48)
		m[0], m[4], m[6], m[7] = 134, 64, 7, 8 // type, hop limit, lifetime as a router
		prefix := make([]byte, 32)
		prefix[0], prefix[1], prefix[2], prefix[3] = 3, 4, 64, 0xc0
		prefix[6], prefix[10], prefix[16], prefix[17] = 7, 7, 0xfd, 0x66
		return append(m, prefix...)
	})
}

// sendICMP6 sends a message of neighbour discovery.
func sendICMP6(t testing.TB, path string, to [16]byte, message func(net.HardwareAddr) []byte) {
	t.Helper()
	err := inside(t, path, func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		for _, hops := range []int{unix.IPV6_MULTICAST_HOPS, unix.IPV6_UNICAST_HOPS} {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, hops, 255); err != nil {
				return err
			}
		}
		return unix.Sendto(fd, message(link.HardwareAddr), 0, &unix.SockaddrInet6{ZoneId: uint32(link.Index), Addr: to})
	})
	if err != nil {
		t.Fatal(err)
	}
}

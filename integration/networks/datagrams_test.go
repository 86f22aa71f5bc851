package networks

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// ear hears every datagram that a host takes in, behind its firewall and at
// whatever port (raw(7)).
type ear struct {
	conn net.PacketConn
	mu   sync.Mutex
	all  [][]byte
}

// hear opens the ear of the host that a process is on, until the test ends.
func hear(t *testing.T, pid int) *ear {
	t.Helper()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	e := &ear{}
	if err := namespace.Enter(ns, func() (err error) {
		e.conn, err = net.ListenPacket("ip4:udp", "0.0.0.0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var listening sync.WaitGroup
	listening.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, _, err := e.conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			e.mu.Lock()
			e.all = append(e.all, slices.Clone(buffer[:n]))
			e.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		e.conn.Close()
		listening.Wait()
	})
	return e
}

// heard are the ports at which a word came in.
func (e *ear) heard(word string) (ports []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, datagram := range e.all { // without the header of IP (RFC 768)
		if len(datagram) > 8 && bytes.Contains(datagram[8:], []byte(word)) {
			ports = append(ports, strconv.Itoa(int(datagram[2])<<8|int(datagram[3])))
		}
	}
	return ports
}

// speaks opens a socket for datagrams in a container's network, until the test
// ends.
func speaks(t *testing.T, b *bed.Bed, container string) *net.UDPConn {
	t.Helper()
	ns, err := os.Open("/proc/" + b.Inspect(t, container, "{{.State.Pid}}") + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var conn *net.UDPConn
	if err := namespace.Enter(ns, func() (err error) {
		conn, err = net.ListenUDP("udp4", nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// asks sends a word and returns what comes back within moments, or "".
func asks(t *testing.T, from *net.UDPConn, to netip.AddrPort, word string) string {
	t.Helper()
	buffer := make([]byte, 1500)
	_, err := from.WriteToUDPAddrPort([]byte(word), to)
	if err == nil {
		err = from.SetReadDeadline(time.Now().Add(time.Second))
	}
	if err != nil {
		return "" // refused on the way
	}
	n, _, _ := from.ReadFromUDPAddrPort(buffer)
	return string(buffer[:n])
}

// TestDatagramsReachNoMachine: what a container sends by UDP to the ports of
// heads and nodes does not get past their firewalls, neither from a fabric nor
// from an external network, and not to another account's containers.
func TestDatagramsReachNoMachine(t *testing.T) {
	t.Parallel()
	shared := setting.Shared(t)
	b, stranger := shared, shared.Tenant(t, "net-datagrams")
	stranger.Docker(t, "pull", "-q", stranger.Image)
	own := unique(t)
	network(t, b, own)
	ears, targets := map[string]*ear{}, []netip.AddrPort{}
	for _, h := range b.Hosts(t) {
		if h.Pid == 0 {
			continue // an agent is being killed by another test
		}
		ears[h.Address] = hear(t, h.Pid)
		ports := portsOf(t, h.Pid, "udp", boundUDP)
		if len(ports) == 0 {
			t.Fatalf("%s listens nowhere by UDP", h.Name)
		}
		for _, port := range append(ports, "9") { // and one where nobody listens
			targets = append(targets, netip.MustParseAddrPort(net.JoinHostPort(h.Address, port)))
		}
	}
	from := map[string]*net.UDPConn{}
	for name, args := range map[string][]string{"fabric": {"--network", own}, "external": {"--network", "external"}} {
		id := b.Run(t, append(args, "--name", own+"-"+name, b.Image, "sleep", "1000")...)
		from[name] = speaks(t, b, id)
		for range 3 { // datagrams may be lost
			for _, to := range targets {
				_, _ = from[name].WriteToUDPAddrPort([]byte("from-a-"+name), to) // may be refused on the way
			}
		}
	}
	strangersAreClosed(t, stranger, from)
	for address, e := range ears { // this machine's do come in, after all that the containers have sent
		to := netip.MustParseAddrPort(net.JoinHostPort(address, "9"))
		bed.Eventually(t, func() error {
			c, err := net.Dial("udp", to.String())
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := c.Write([]byte("from-this-machine")); err != nil {
				return err
			}
			if e.heard("from-this-machine") == nil {
				return fmt.Errorf("%s hears nothing", address)
			}
			return nil
		})
		for name := range from {
			if at := e.heard("from-a-" + name); at != nil {
				t.Errorf("from the %s network a container's datagrams come in at %s, ports %v", name, address, at)
			}
		}
	}
}

// strangersAreClosed: a container on the network of all answers datagrams of
// its own account, and gets none of another one.
func strangersAreClosed(t *testing.T, stranger *bed.Bed, others map[string]*net.UDPConn) {
	t.Helper()
	victim := stranger.Run(t, "--network", "external", stranger.Image, "sleep", "1000")
	friend := speaks(t, stranger, stranger.Run(t, "--network", "external", stranger.Image, "sleep", "1000"))
	echoes(t, stranger, victim)
	at := netip.AddrPortFrom(netip.MustParseAddr(stranger.AddressOf(t, victim)), 53)
	bed.Eventually(t, func() error {
		if heard := asks(t, friend, at, "hello"); heard != "hello" {
			return fmt.Errorf("the account's own container hears %q", heard)
		}
		return nil
	})
	for name, from := range others {
		if heard := asks(t, from, at, "hello"); heard != "" {
			t.Errorf("from the %s network another account's container hears %q", name, heard)
		}
	}
}

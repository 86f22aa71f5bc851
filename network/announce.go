package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// announcer tells a segment where an address lives now, by the ARP
// announcement of RFC 5227, section 3, or the unsolicited neighbour
// advertisement of RFC 4861, section 7.2.6: neighbours correct what they
// remember of its former owner. The frame is sent on the segment's bridge itself,
// so it needs no thread in the container's namespace, and nothing is lost
// while the container's link is still coming up. Where there are switches it is
// said again a few times, as section 2.3 has it: the first one is lost where a
// switch's port is not forwarding yet. A fabric has none, and there each
// repetition would only be heard by all containers of it that are here. Its
// methods may be called by many goroutines at once.
type announcer struct {
	bridge int  // index
	again  bool // it repeats

	mu      sync.Mutex
	fd      int
	pending map[netip.Addr]*time.Timer
}

// repeats are the pauses before each repetition of an announcement.
var repeats = [...]time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second}

// openAnnouncer opens a socket that only sends, in the segment's namespace.
func openAnnouncer(ns *os.File, bridge int, again bool) (*announcer, error) {
	a := &announcer{bridge: bridge, again: again, pending: map[netip.Addr]*time.Timer{}}
	err := namespace.Enter(ns, func() (err error) {
		a.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open packet socket: %w", err)
	}
	return a, nil
}

// announce says that addr is at mac, now and in the next seconds, until hush.
func (a *announcer) announce(mac net.HardwareAddr, addr netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop(addr)
	if err := a.send(mac, addr); err != nil {
		return fmt.Errorf("cannot announce address: %w", err)
	}
	if a.again {
		a.repeat(mac, addr, 0)
	}
	return nil
}

// repeat plans the nth repetition. Callers hold mu.
func (a *announcer) repeat(mac net.HardwareAddr, addr netip.Addr, nth int) {
	if nth == len(repeats) {
		delete(a.pending, addr)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(repeats[nth], func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.pending[addr] != timer {
			return // hushed, or announced anew
		}
		_ = a.send(mac, addr) // the first one told of errors
		a.repeat(mac, addr, nth+1)
	})
	a.pending[addr] = timer
}

func (a *announcer) send(mac net.HardwareAddr, addr netip.Addr) error {
	return unix.Sendto(a.fd, announcement(mac, addr), 0, &unix.SockaddrLinklayer{Ifindex: a.bridge, Halen: 6})
}

// hush ends the announcing of an address, which may have a new owner then.
func (a *announcer) hush(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop(addr)
}

// stop ends what is planned for an address. Callers hold mu.
func (a *announcer) stop(addr netip.Addr) {
	if timer, ok := a.pending[addr]; ok {
		timer.Stop()
		delete(a.pending, addr)
	}
}

func (a *announcer) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for addr := range a.pending {
		a.stop(addr)
	}
	unix.Close(a.fd)
}

func announcement(mac net.HardwareAddr, addr netip.Addr) []byte {
	if addr.Is6() {
		return advertisement(mac, addr)
	}
	ip := addr.As4()
	f := make([]byte, 0, 60)
	f = append(f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	f = append(f, mac...)
	f = binary.BigEndian.AppendUint16(f, unix.ETH_P_ARP)
	f = append(f, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their lengths, request
	f = append(append(f, mac...), ip[:]...)
	f = append(append(f, 0, 0, 0, 0, 0, 0), ip[:]...)
	return f[:60] // the least that Ethernet carries
}

// advertisement tells all nodes on the link that addr is at mac, whatever they
// knew before.
func advertisement(mac net.HardwareAddr, addr netip.Addr) []byte {
	from, all := addr.As16(), [16]byte{0xff, 2, 15: 1}
	message := append([]byte{icmp6Advert, 0, 0, 0, 0x20, 0, 0, 0}, from[:]...) // 0x20: override
	message = append(append(message, 2, 1), mac...)                            // the target's link-layer address
	sum := checksum6(from, all, message)
	message[2], message[3] = byte(sum>>8), byte(sum)

	f := append([]byte{0x33, 0x33, 0, 0, 0, 1}, mac...)
	f = binary.BigEndian.AppendUint16(f, unix.ETH_P_IPV6)
	f = append(f, 0x60, 0, 0, 0, 0, byte(len(message)), unix.IPPROTO_ICMPV6, 255)
	return append(append(append(f, from[:]...), all[:]...), message...)
}

// checksum6 is that of an ICMPv6 message (RFC 4443, section 2.3), whose own
// field is zero and whose length is even.
func checksum6(from, to [16]byte, message []byte) uint16 {
	sum := uint32(len(message)) + unix.IPPROTO_ICMPV6
	for _, part := range [][]byte{from[:], to[:], message} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

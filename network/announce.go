package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// announcer tells a segment where an address lives now, by the ARP
// announcement of RFC 5227, section 3: neighbours correct what they remember
// of the address's former owner, and switches learn the port.
//
// It speaks through the bridge itself and not from inside of the container:
// so it needs no thread in the container's namespace, and nothing is lost
// while the container's link is still coming up.
type announcer struct {
	fd     int
	bridge int // index
}

// openAnnouncer opens a socket that only sends, in the segment's namespace.
func openAnnouncer(ns *os.File, bridge int) (*announcer, error) {
	a := &announcer{bridge: bridge}
	err := namespace.Enter(ns, func() (err error) {
		a.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open packet socket: %w", err)
	}
	return a, nil
}

func (a *announcer) announce(mac net.HardwareAddr, addr netip.Addr) error {
	to := &unix.SockaddrLinklayer{Ifindex: a.bridge, Halen: 6}
	if err := unix.Sendto(a.fd, announcement(mac, addr), 0, to); err != nil {
		return fmt.Errorf("cannot announce address: %w", err)
	}
	return nil
}

func (a *announcer) close() { unix.Close(a.fd) }

func announcement(mac net.HardwareAddr, addr netip.Addr) []byte {
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

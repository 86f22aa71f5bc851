package network

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// port is one NIC of a container, as recorded.
type port struct {
	Segment string `json:"segment"`
	Outer   string `json:"outer"` // name of the veth on the bridge
	model.NIC
	MTU    int           `json:"mtu,omitempty"` // 0 is the segment's
	Routes []model.Route `json:"routes,omitempty"`
	// Limited says that the interface may have a rate, now or from before.
	Limited bool `json:"limited,omitempty"`
	// Subnets are where own containers of the account are and nobody else: a
	// fabric's.
	Subnets []netip.Prefix `json:"subnets,omitempty"`
}

// portOf turns a NIC into the port that it will be, without its outer name.
func portOf(nic model.NIC, n *model.Network) port {
	p := port{Segment: segmentKey(n), NIC: nic, MTU: n.MTU, Routes: n.Routes, Limited: nic.Rate > 0}
	if n.Internal {
		p.Gateway, p.Gateway6 = netip.Addr{}, netip.Addr{}
	}
	if n.Kind == model.NetworkFabric {
		p.Gateway6 = netip.Addr{} // there is no IPv6 out of it
		p.Subnets = append(p.Subnets, n.Subnet)
		if n.Subnet6.IsValid() {
			p.Subnets = append(p.Subnets, n.Subnet6)
		}
	}
	return p
}

// sameVeth tells whether two ports are the same interface at the same place;
// what else differs can be changed while it is up.
func (p port) sameVeth(o port) bool {
	return p.Segment == o.Segment && p.Interface == o.Interface && p.MAC == o.MAC && p.MTU == o.MTU &&
		p.Address == o.Address && p.Address6 == o.Address6
}

func (p port) hardware() (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(p.MAC)
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("cannot use MAC %q of %s", p.MAC, p.Interface)
	}
	return mac, nil
}

// speaks are the addresses that the port may use: those that it was given,
// and with IPv6 the one on the link that follows from its MAC (RFC 4291,
// appendix A), by which neighbours find each other.
func (p port) speaks(mac net.HardwareAddr) []netip.Addr {
	all := p.addresses()
	if p.Address6.IsValid() {
		onLink := netip.AddrFrom16([16]byte{
			0xfe, 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5],
		})
		all = append(all, onLink)
	}
	return all
}

// addresses are those that the port was given.
func (p port) addresses() []netip.Addr {
	all := []netip.Addr{p.Address.Addr()}
	if p.Address6.IsValid() {
		all = append(all, p.Address6.Addr())
	}
	return all
}

// newOuterName chooses a name for the outer end of a veth. Each port has a
// new one, as the veth of a container's former sandbox may still be going.
func newOuterName(prefix string) string {
	var b [5]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return prefix + hex.EncodeToString(b[:])
}

// attach joins a container's namespace to the segment. The port is mute until
// post has been called, and has put up what stands outside of it.
func (s *segment) attach(ns *os.File, inner *netlink.Handle, p port, post func() error) error {
	mac, err := p.hardware()
	if err != nil {
		return err
	}
	if err := s.plug(ns, p, mac); err != nil {
		return err
	}
	if err := failpoint.Hit("network/attach/after-veth"); err != nil {
		return err
	}
	if err := post(); err != nil {
		return err
	}
	if err := failpoint.Hit("network/attach/after-sentry"); err != nil {
		return err
	}
	if err := s.guard.allow(p.Outer, mac, p.speaks(mac)); err != nil {
		return err
	}
	if err := failpoint.Hit("network/attach/after-guard"); err != nil {
		return err
	}
	if err := s.configure(ns, inner, p); err != nil {
		return err
	}
	for _, a := range p.addresses() {
		if err := s.voice.announce(mac, a); err != nil {
			return err
		}
	}
	return nil
}

// plug makes the veth, unless it is there.
func (s *segment) plug(ns *os.File, p port, mac net.HardwareAddr) error {
	mtu := s.mtu
	if p.MTU != 0 {
		mtu = min(mtu, p.MTU)
	}
	pair := veth{outer: p.Outer, master: s.bridge, mtu: mtu, inner: p.Interface, innerMAC: mac, namespace: int(ns.Fd())}
	if err := pair.create(s.create); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot make interface %s: %w", p.Interface, err)
	}
	return nil
}

// configure gives the inner end its addresses and routes, and both ends their
// rate.
func (s *segment) configure(ns *os.File, inner *netlink.Handle, p port) error {
	link, err := inner.LinkByName(p.Interface)
	if err != nil {
		return fmt.Errorf("cannot find interface %s: %w", p.Interface, err)
	}
	if p.Address6.IsValid() {
		if err := allowIPv6(ns, p.Interface); err != nil {
			return err
		}
	}
	for _, address := range []netip.Prefix{p.Address, p.Address6} {
		if !address.IsValid() {
			continue
		}
		if err := inner.AddrReplace(link, addrOf(address)); err != nil {
			return fmt.Errorf("cannot give interface %s its address: %w", p.Interface, err)
		}
	}
	if err := inner.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start interface %s: %w", p.Interface, err)
	}
	if err := s.limit(inner, link, p); err != nil {
		return err
	}
	return setRoutes(inner, link, p)
}

// allowIPv6 turns IPv6 on for an interface, whose addresses come from us alone.
func allowIPv6(ns *os.File, link string) error {
	return namespace.Enter(ns, func() error {
		for _, setting := range [][2]string{{"accept_ra", "0"}, {"accept_dad", "0"}, {"disable_ipv6", "0"}} {
			if err := namespace.SetSysctl("ipv6/conf/"+link+"/"+setting[0], setting[1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// silence takes back what attach allowed: from now on nothing that the
// interface says is heard, so the address may have a new owner. The interface
// itself goes with its namespace: removing it here would make every container
// on the machine wait for the kernel's grace periods (30 ms under the lock
// that all interfaces share), while the kernel does it for many at a time.
func (s *segment) silence(p port) error {
	mac, err := p.hardware()
	if err != nil {
		return err
	}
	for _, a := range p.addresses() {
		s.voice.hush(a)
	}
	return s.guard.forbid(p.Outer, mac, p.speaks(mac))
}

// unplug is silence for a container that goes on without this NIC.
func (s *segment) unplug(p port) error {
	if err := s.silence(p); err != nil {
		return err
	}
	return removeLink(s.route, p.Outer)
}

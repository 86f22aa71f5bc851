package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// Names of the interfaces of a fabric's namespace besides the bridge.
const (
	tunnelName = "tunnel" // VXLAN (RFC 7348) to the other nodes
	wayName    = "way"    // out, by the agent's namespace
)

// vxlanPort is what IANA gave VXLAN.
const vxlanPort = 4789

// vxlanOverhead is what VXLAN adds to a frame's payload, in bytes, over IPv4.
// IPv6 has a header that is 20 bytes longer.
const vxlanOverhead = 50

// wayRange are the addresses of the pairs between fabrics and the agent's
// namespace, which nobody else sees. It leaves out where clouds have their
// services, in the upper half of what is link-local.
var wayRange = netip.MustParsePrefix("169.254.0.0/17")

// fabricRecord is what a fabric on this node is made by.
type fabricRecord struct {
	VNI      uint32       `json:"vni"`
	Network  string       `json:"network"` // its id
	Gateway  netip.Prefix `json:"gateway,omitzero"`
	Gateway6 netip.Prefix `json:"gateway6,omitzero"`
	IPv6     bool         `json:"ipv6,omitempty"`
	MTU      int          `json:"mtu,omitempty"`
	// Way is the number of the address pair by which it gets out; 0 is not at
	// all.
	Way int `json:"way,omitempty"`
}

// wayPrefix begins the names of the outer ends of fabrics' ways out.
func (d *Driver) wayPrefix() string { return d.cfg.Prefix + "x" }

func (d *Driver) wayLink(vni uint32) string { return fmt.Sprintf("%s%x", d.wayPrefix(), vni) }

// wayPair are the addresses on both sides of a way out.
func wayPair(number int) (host, inside netip.Prefix) {
	base := wayRange.Addr().As4()
	n := 2 * number
	base[2], base[3] = base[2]+byte(n>>8), byte(n)
	host = netip.PrefixFrom(netip.AddrFrom4(base), 31)
	return host, netip.PrefixFrom(host.Addr().Next(), 31)
}

// Ways are numbered within wayRange, but for its first 256 addresses, which
// RFC 3927 keeps.
const (
	firstWay = 128
	lastWay  = 1<<14 - 1
)

func (d *Driver) newFabricRecord(n *model.Network) (segmentRecord, error) {
	if !d.cfg.Underlay.IsValid() {
		return segmentRecord{}, model.Errorf(model.KindUnavailable, "this node offers no fabrics, and network %s is one: the operator gives the node an address for them", n.Name)
	}
	if n.VNI == 0 || n.VNI >= 1<<24 {
		return segmentRecord{}, model.Errorf(model.KindInvalid, "network %s has no valid number on the wire", n.Name)
	}
	rec := &fabricRecord{VNI: n.VNI, Network: n.ID, MTU: n.MTU, IPv6: n.Subnet6.IsValid()}
	if !n.Internal {
		if n.Gateway.IsValid() {
			rec.Gateway = netip.PrefixFrom(n.Gateway, n.Subnet.Bits())
		}
		if n.Gateway6.IsValid() {
			rec.Gateway6 = netip.PrefixFrom(n.Gateway6, n.Subnet6.Bits())
		}
		var err error
		if rec.Way, err = d.freeWay(); err != nil {
			return segmentRecord{}, err
		}
	}
	return segmentRecord{Fabric: rec}, nil
}

// freeWay finds a number that no fabric on this node has. All segments that
// exist are open or recorded.
func (d *Driver) freeWay() (int, error) {
	used, err := d.usedWays()
	if err != nil {
		return 0, err
	}
	for n := firstWay; n <= lastWay; n++ {
		if !used[n] {
			return n, nil
		}
	}
	return 0, model.Errorf(model.KindExhausted, "this node has no room for another fabric")
}

// usedWays are the numbers of all fabrics that exist on this node. The caller
// holds d.mu.
func (d *Driver) usedWays() (map[int]bool, error) {
	keys, err := names(d.segmentsDir())
	if err != nil {
		return nil, err
	}
	used := map[int]bool{}
	for _, key := range keys {
		s := d.segments[key]
		if s == nil {
			s = d.recorded(key)
		}
		if s != nil && s.rec.Fabric != nil && s.rec.Fabric.Way != 0 {
			used[s.rec.Fabric.Way] = true
		}
	}
	return used, nil
}

// ensureFabric makes tunnel, gateway and way out.
func (s *segment) ensureFabric(d *Driver) error {
	if err := s.ensureTunnel(d); err != nil {
		return err
	}
	if err := failpoint.Hit("network/fabric/after-tunnel"); err != nil {
		return err
	}
	f := s.rec.Fabric
	if f.Way == 0 {
		return nil
	}
	if err := guardFabric(s.ns); err != nil {
		return err
	}
	if err := d.raiseFence(); err != nil {
		return err
	}
	if err := failpoint.Hit("network/fabric/after-fence"); err != nil {
		return err
	}
	if err := s.ensureGateway(); err != nil {
		return err
	}
	return s.ensureWay(d)
}

// ensureTunnel makes the VXLAN interface. It is born in the agent's namespace,
// where its packets go on to live, and handed over by the same message.
func (s *segment) ensureTunnel(d *Driver) error {
	f := s.rec.Fabric
	under, _, err := d.underlay()
	if err != nil {
		return err
	}
	link, err := s.route.LinkByName(tunnelName)
	if isNoLink(err) {
		mtu := under - vxlanOverhead
		if d.cfg.Underlay.Is6() {
			mtu -= 20
		}
		if f.MTU != 0 {
			mtu = min(mtu, f.MTU)
		}
		err = d.host.LinkAdd(&netlink.Vxlan{
			LinkAttrs: netlink.LinkAttrs{Name: tunnelName, MTU: mtu, TxQLen: -1, Namespace: netlink.NsFd(s.ns.Fd())},
			VxlanId:   int(f.VNI), SrcAddr: d.cfg.Underlay.AsSlice(), Port: d.cfg.VXLANPort,
			Learning: false, Proxy: true, NoAge: true,
		})
		if err != nil {
			return fmt.Errorf("cannot make tunnel %d: %w", f.VNI, err)
		}
		link, err = s.route.LinkByName(tunnelName)
	}
	if err != nil {
		return fmt.Errorf("cannot find tunnel %d: %w", f.VNI, err)
	}
	if link.Attrs().MasterIndex != s.bridge {
		if err := s.route.LinkSetMasterByIndex(link, s.bridge); err != nil {
			return fmt.Errorf("cannot make tunnel %d a port of its bridge: %w", f.VNI, err)
		}
	}
	// Who is where is pushed; what comes in teaches nothing.
	if err := s.route.LinkSetLearning(link, false); err != nil {
		return fmt.Errorf("cannot keep tunnel %d from learning: %w", f.VNI, err)
	}
	if f.IPv6 { // so that the kernel takes entries of it; without an address of its own
		if err := s.set("ipv6/conf/"+tunnelName+"/addr_gen_mode", "1", "ipv6/conf/"+tunnelName+"/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	if err := s.route.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start tunnel %d: %w", f.VNI, err)
	}
	s.mtu = link.Attrs().MTU
	s.tunnel, err = openTunnel(s.route, link.Attrs().Index)
	return err
}

// ensureGateway gives the bridge the gateway's addresses, which it has on
// every node.
func (s *segment) ensureGateway() error {
	f := s.rec.Fabric
	bridge := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: bridgeName, Index: s.bridge}}
	settings := []string{"ipv4/ip_forward", "1"}
	if f.Gateway6.IsValid() {
		at := "ipv6/conf/" + bridgeName
		settings = append(settings, at+"/accept_dad", "0", at+"/accept_ra", "0", at+"/disable_ipv6", "0")
	}
	if err := s.set(settings...); err != nil {
		return err
	}
	for _, gateway := range []netip.Prefix{f.Gateway, f.Gateway6} {
		if !gateway.IsValid() {
			continue
		}
		if err := s.route.AddrReplace(bridge, addrOf(gateway)); err != nil {
			return fmt.Errorf("cannot give fabric its gateway: %w", err)
		}
	}
	return nil
}

// set writes settings (name, value, name, value …) of the segment's namespace.
func (s *segment) set(settings ...string) error {
	return namespace.Enter(s.ns, func() error {
		for i := 0; i < len(settings); i += 2 {
			if err := namespace.SetSysctl(settings[i], settings[i+1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// ensureWay makes the pair of interfaces by which a fabric gets out.
func (s *segment) ensureWay(d *Driver) error {
	f := s.rec.Fabric
	outer, inner := wayPair(f.Way)
	name := d.wayLink(f.VNI)
	link, err := s.route.LinkByName(wayName)
	if isNoLink(err) {
		if err := removeLink(d.host, name); err != nil { // of a namespace that is still going
			return err
		}
		attrs := netlink.LinkAttrs{Name: name, MTU: s.mtu, TxQLen: -1}
		err = d.host.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: wayName, PeerNamespace: netlink.NsFd(s.ns.Fd())})
		if err != nil {
			return fmt.Errorf("cannot make the way out of fabric %d: %w", f.VNI, err)
		}
		link, err = s.route.LinkByName(wayName)
	}
	if err != nil {
		return fmt.Errorf("cannot find the way out of fabric %d: %w", f.VNI, err)
	}
	if err := failpoint.Hit("network/fabric/after-way"); err != nil {
		return err
	}
	host, err := d.host.LinkByName(name)
	if err != nil {
		return fmt.Errorf("cannot find the way out of fabric %d: %w", f.VNI, err)
	}
	for _, end := range []struct {
		at      *netlink.Handle
		link    netlink.Link
		address netip.Prefix
	}{{d.host, host, outer}, {s.route, link, inner}} {
		if err := end.at.AddrReplace(end.link, addrOf(end.address)); err != nil {
			return fmt.Errorf("cannot give the way out of fabric %d its address: %w", f.VNI, err)
		}
		if err := end.at.LinkSetUp(end.link); err != nil {
			return fmt.Errorf("cannot open the way out of fabric %d: %w", f.VNI, err)
		}
	}
	if err := s.route.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: outer.Addr().AsSlice()}); err != nil {
		return fmt.Errorf("cannot route fabric %d out: %w", f.VNI, err)
	}
	return nil
}

// dismantleFabric removes tunnel and way out at once. Left to the namespace's
// end they would go later, and meanwhile be in the way of the same fabric.
func (s *segment) dismantleFabric(d *Driver) error {
	if err := removeLink(d.host, d.wayLink(s.rec.Fabric.VNI)); err != nil {
		return err
	}
	return removeLink(s.route, tunnelName)
}

// removeLink removes an interface, if there is one of that name.
func removeLink(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(link)
	}
	if err != nil && !isNoLink(err) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("cannot remove interface %s: %w", name, err)
	}
	return nil
}

// underlay returns the MTU of the interface with the node's address for
// fabrics, and the network that it is on.
func (d *Driver) underlay() (mtu int, onLink netip.Prefix, err error) {
	family := netlink.FAMILY_V4
	if d.cfg.Underlay.Is6() {
		family = netlink.FAMILY_V6
	}
	addrs, err := d.host.AddrList(nil, family)
	if err != nil {
		return 0, onLink, fmt.Errorf("cannot list the node's addresses: %w", err)
	}
	for _, a := range addrs {
		address, _ := netip.AddrFromSlice(a.IP)
		if address.Unmap() != d.cfg.Underlay {
			continue
		}
		link, err := d.host.LinkByIndex(a.LinkIndex)
		if err != nil {
			return 0, onLink, fmt.Errorf("cannot find the node's interface for fabrics: %w", err)
		}
		bits, _ := a.Mask.Size()
		return link.Attrs().MTU, netip.PrefixFrom(d.cfg.Underlay, bits).Masked(), nil
	}
	return 0, onLink, model.WrapError(model.KindUnavailable, fmt.Errorf("no interface has the address %s", d.cfg.Underlay),
		"this node cannot offer fabrics at the moment; ask the operator")
}

// addrOf is an address with its subnet's length as netlink wants it. IPv6 ones
// are used at once, without looking whether somebody else has them: they were
// given out by the heads.
func addrOf(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

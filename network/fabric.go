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

// fabricRecord is what a fabric on this node is made by.
type fabricRecord struct {
	VNI      uint32       `json:"vni"`
	Network  string       `json:"network"`           // its id
	Account  string       `json:"account,omitempty"` // whose it is
	Gateway  netip.Prefix `json:"gateway,omitzero"`
	Gateway6 netip.Prefix `json:"gateway6,omitzero"`
	IPv6     bool         `json:"ipv6,omitempty"`
	MTU      int          `json:"mtu,omitempty"`
	// Way is the number of the address pair by which it gets out; 0 is not at
	// all.
	Way int `json:"way,omitempty"`
}

func (d *Driver) newFabricRecord(n *model.Network) (segmentRecord, error) {
	if !d.cfg.Underlay.IsValid() {
		return segmentRecord{}, model.Errorf(model.KindUnavailable, "this node offers no fabrics, and network %s is one: the operator gives the node an address for them", n.Name)
	}
	if n.VNI == 0 || n.VNI >= 1<<24 {
		return segmentRecord{}, model.Errorf(model.KindInvalid, "network %s has no valid number on the wire", n.Name)
	}
	rec := &fabricRecord{VNI: n.VNI, Network: n.ID, Account: n.AccountID, MTU: n.MTU, IPv6: n.Subnet6.IsValid()}
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
	share, err := d.share()
	if err != nil {
		return err
	}
	if err := guardFabric(s.ns, share); err != nil {
		return err
	}
	if err := d.raiseFence(f); err != nil {
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

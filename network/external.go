package network

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// ensureUplink brings the NIC, or its VLAN, into the segment and onto the
// bridge.
func (s *segment) ensureUplink(d *Driver) error {
	link, err := s.route.LinkByName(s.rec.link())
	if isNoLink(err) {
		if err = s.fetchUplink(d); err != nil {
			return err
		}
		link, err = s.route.LinkByName(s.rec.link())
	}
	if err != nil {
		return fmt.Errorf("cannot find uplink of NIC tag %s: %w", s.rec.Tag, err)
	}
	if err := failpoint.Hit("network/segment/after-uplink-moved"); err != nil {
		return err
	}
	if link.Attrs().MasterIndex != s.bridge {
		if err := s.route.LinkSetMasterByIndex(link, s.bridge); err != nil {
			return fmt.Errorf("cannot make NIC of tag %s a port of its bridge: %w", s.rec.Tag, err)
		}
	}
	if err := s.route.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start NIC of tag %s: %w", s.rec.Tag, err)
	}
	s.mtu = link.Attrs().MTU
	return nil
}

// fetchUplink moves the NIC here, or makes its VLAN interface here; the NIC
// itself then stays where it is, which may be in the segment of its untagged
// network.
func (s *segment) fetchUplink(d *Driver) error {
	at, link, err := d.findUplink(s.rec)
	if err != nil {
		return err
	}
	if s.rec.VLAN == 0 {
		if err := at.LinkSetNsFd(link, int(s.ns.Fd())); err != nil {
			return fmt.Errorf("cannot move NIC of tag %s to its network: %w", s.rec.Tag, err)
		}
		return nil
	}
	if err := at.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start NIC of tag %s: %w", s.rec.Tag, err)
	}
	attrs := netlink.LinkAttrs{Name: s.rec.link(), ParentIndex: link.Attrs().Index, TxQLen: -1, Namespace: netlink.NsFd(s.ns.Fd())}
	err = at.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: int(s.rec.VLAN), VlanProtocol: netlink.VLAN_PROTOCOL_8021Q})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return model.Errorf(model.KindUnavailable, "this node's kernel has no VLANs, and the network is on VLAN %d: the operator loads the module 8021q", s.rec.VLAN)
	}
	if err != nil {
		return fmt.Errorf("cannot make VLAN %d on NIC of tag %s: %w", s.rec.VLAN, s.rec.Tag, err)
	}
	return nil
}

// giveBackUplink returns the NIC to the agent's namespace as it was found
// there. A VLAN interface ends with the segment's namespace.
func (s *segment) giveBackUplink(host *os.File, hostRoute *netlink.Handle) error {
	if s.rec.VLAN != 0 {
		return nil
	}
	link, err := s.route.LinkByName(s.rec.link())
	if isNoLink(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot find uplink of NIC tag %s: %w", s.rec.Tag, err)
	}
	if err := s.route.LinkSetNoMaster(link); err != nil {
		return fmt.Errorf("cannot take NIC of tag %s off its bridge: %w", s.rec.Tag, err)
	}
	if err := s.route.LinkSetNsFd(link, int(host.Fd())); err != nil {
		return fmt.Errorf("cannot give NIC of tag %s back: %w", s.rec.Tag, err)
	}
	return restoreState(hostRoute, s.rec)
}

func restoreState(hostRoute *netlink.Handle, rec segmentRecord) error {
	if !rec.WasUp {
		return nil // moving took it down
	}
	link, err := hostRoute.LinkByName(rec.Uplink)
	if err == nil {
		err = hostRoute.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("cannot start NIC of tag %s: %w", rec.Tag, err)
	}
	return nil
}

// findUplink finds the NIC of a tag in the agent's namespace or, for a VLAN,
// in the segment of the NIC's untagged network. It refuses one that carries
// an address: taking it away would cut the machine off.
func (d *Driver) findUplink(r segmentRecord) (*netlink.Handle, netlink.Link, error) {
	link, err := d.host.LinkByName(r.Uplink)
	if isNoLink(err) && r.VLAN != 0 {
		if s := d.segments[wireKey(r.Tag, 0)]; s != nil {
			if link, err = s.route.LinkByName(r.Uplink); err == nil {
				return s.route, link, nil
			}
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot find interface %s of NIC tag %s: %w", r.Uplink, r.Tag, err)
	}
	if r.VLAN != 0 {
		return d.host, link, nil
	}
	addrs, err := d.host.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read addresses of interface %s: %w", r.Uplink, err)
	}
	for _, a := range addrs {
		if !a.IP.IsLinkLocalUnicast() {
			return nil, nil, fmt.Errorf("cannot use interface %s of NIC tag %s: it carries the machine's address %s; give the tag an interface of its own", r.Uplink, r.Tag, a.IP)
		}
	}
	return d.host, link, nil
}

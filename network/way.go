package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// wayRange are the addresses of the pairs between fabrics and the agent's
// namespace, which nobody else sees. It leaves out where clouds have their
// services, in the upper half of what is link-local.
var wayRange = netip.MustParsePrefix("169.254.0.0/17")

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

// freeWay finds a number that no fabric on this node has. All segments that
// exist are open or recorded.
func (d *Driver) freeWay() (int, error) {
	used, err := d.usedWays()
	if err != nil {
		return 0, err
	}
	for n := firstWay; n <= lastWay; n++ {
		if _, taken := used[n]; !taken {
			return n, nil
		}
	}
	return 0, model.Errorf(model.KindExhausted, "this node has no room for another fabric")
}

// usedWays are all fabrics that exist on this node and have a way out, by the
// numbers of these. The caller holds d.mu.
func (d *Driver) usedWays() (map[int]*fabricRecord, error) {
	keys, err := listed(d.segmentsDir())
	if err != nil {
		return nil, err
	}
	used := map[int]*fabricRecord{}
	for _, key := range keys {
		s := d.segments[key]
		if s == nil {
			s = d.recorded(key)
		}
		if s != nil && s.rec.Fabric != nil && s.rec.Fabric.Way != 0 {
			used[s.rec.Fabric.Way] = s.rec.Fabric
		}
	}
	return used, nil
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

package rack

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// wireMachine makes the rack's two bridges on this machine, which has an
// address on both: it is the way out for hosts and for containers.
func (r *Rack) wireMachine() error {
	mtu, err := outerMTU()
	if err != nil {
		return err
	}
	underlay, gateway := r.underlay()
	if err := ensureBridge(r.underlayBridge(), netip.PrefixFrom(gateway, underlay.Bits()), mtu); err != nil {
		return err
	}
	external, gateway := r.external()
	return ensureBridge(r.externalBridge(), netip.PrefixFrom(gateway, external.Bits()), mtu)
}

// outerMTU is the MTU of the machine's way out, so that what containers send
// fits through it.
func outerMTU() (int, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("cannot list routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst != nil && !route.Dst.IP.IsUnspecified() {
			continue
		}
		if link, err := netlink.LinkByIndex(route.LinkIndex); err == nil {
			return min(link.Attrs().MTU, 1500), nil
		}
	}
	return 1500, nil
}

func ensureBridge(name string, address netip.Prefix, mtu int) error {
	no := false
	err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, TxQLen: -1}, MulticastSnooping: &no})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot make bridge %s: %w", name, err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("cannot find bridge %s: %w", name, err)
	}
	if err := netlink.AddrReplace(link, netlinkAddr(address)); err != nil {
		return fmt.Errorf("cannot give bridge %s its address: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start bridge %s: %w", name, err)
	}
	return nil
}

// wireHost plugs a host into the bridges. fresh says that its namespace is
// new: links of a former one may still be going and must not be taken for its
// own.
func (r *Rack) wireHost(h host, fresh bool) error {
	if err := r.plug(h, r.underlayBridge(), r.underlayLink(h), underlayNIC, fresh); err != nil {
		return err
	}
	if h.role == roleNode {
		if err := r.plug(h, r.externalBridge(), r.externalLink(h), externalNIC, fresh); err != nil {
			return err
		}
	}
	inside, err := netlinkIn(r.netPin(h))
	if err != nil {
		return err
	}
	defer inside.Close()
	for name, address := range map[string]netip.Prefix{
		"lo": netip.MustParsePrefix("127.0.0.1/8"), underlayNIC: netip.PrefixFrom(h.addr, 24),
	} {
		link, err := inside.LinkByName(name)
		if err != nil {
			return fmt.Errorf("cannot find %s of %s: %w", name, h.name, err)
		}
		if err := inside.AddrReplace(link, netlinkAddr(address)); err != nil {
			return fmt.Errorf("cannot give %s of %s its address: %w", name, h.name, err)
		}
		if err := inside.LinkSetUp(link); err != nil {
			return fmt.Errorf("cannot start %s of %s: %w", name, h.name, err)
		}
	}
	_, gateway := r.underlay()
	if err := inside.RouteReplace(&netlink.Route{Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("cannot set default route of %s: %w", h.name, err)
	}
	return nil
}

// plug connects a host to a bridge by a cable whose outer end stays here. A
// cable that is there is only made to work.
func (r *Rack) plug(h host, bridge, outer, inner string, fresh bool) error {
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("cannot find bridge %s: %w", bridge, err)
	}
	if fresh {
		if err := removeLink(outer); err != nil {
			return err
		}
	}
	ns, err := os.Open(r.netPin(h))
	if err != nil {
		return fmt.Errorf("cannot open the network of %s: %w", h.name, err)
	}
	defer ns.Close()
	attrs := netlink.LinkAttrs{Name: outer, MTU: master.Attrs().MTU, TxQLen: -1, MasterIndex: master.Attrs().Index}
	err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: inner, PeerNamespace: netlink.NsFd(ns.Fd())})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot plug %s into %s: %w", h.name, bridge, err)
	}
	link, err := netlink.LinkByName(outer)
	if err == nil {
		err = netlink.LinkSetMaster(link, master)
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("cannot plug %s into %s: %w", h.name, bridge, err)
	}
	return nil
}

// unwire removes the rack's links from this machine.
func (r *Rack) unwire() error {
	var errs []error
	for _, h := range r.hosts() {
		errs = append(errs, removeLink(r.underlayLink(h)), removeLink(r.externalLink(h)))
	}
	return errors.Join(append(errs, removeLink(r.underlayBridge()), removeLink(r.externalBridge()))...)
}

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	var none netlink.LinkNotFoundError
	if err != nil && !errors.As(err, &none) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("cannot remove link %s: %w", name, err)
	}
	return nil
}

// netlinkIn opens a route handle in the namespace pinned to path.
func netlinkIn(path string) (h *netlink.Handle, err error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open network namespace: %w", err)
	}
	defer ns.Close()
	err = namespace.Enter(ns, func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open netlink: %w", err)
	}
	return h, nil
}

func netlinkAddr(p netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}}
}

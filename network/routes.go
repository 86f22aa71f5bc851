package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setRoutes sets where a container's packets go by one of its NICs: to the
// networks that its network names, and to everywhere if it is the primary one
// or if it is the answer to who came in by it.
func setRoutes(inner *netlink.Handle, link netlink.Link, p port) error {
	for _, r := range p.Routes {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: addrOf(r.To).IPNet, Gw: r.Via.AsSlice()}
		if err := inner.RouteReplace(route); err != nil {
			return fmt.Errorf("cannot set route to %s: %w", r.To, err)
		}
	}
	if !p.Primary {
		return setWaysBack(inner, link, p)
	}
	for _, gateway := range []netip.Addr{p.Gateway, p.Gateway6} {
		if !gateway.IsValid() {
			continue
		}
		if err := inner.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()}); err != nil {
			return fmt.Errorf("cannot set default route: %w", err)
		}
	}
	return nil
}

// Of the tables and rules for answers: before the kernel's own (ip-rule(8)).
const (
	backTable    = 1000 // and the number of the interface
	backPriority = 1000
)

// setWaysBack has what is sent from a NIC's own address leave by it. Who comes
// from outside to a NIC that does not have the default route would else be
// answered by another one, where the guard drops it. Nobody comes from outside
// to a fabric.
func setWaysBack(inner *netlink.Handle, link netlink.Link, p port) error {
	if len(p.Subnets) > 0 {
		return nil
	}
	table := backTable + link.Attrs().Index
	for _, way := range []struct {
		own     netip.Prefix
		gateway netip.Addr
	}{{p.Address, p.Gateway}, {p.Address6, p.Gateway6}} {
		if !way.own.IsValid() || !way.gateway.IsValid() {
			continue
		}
		for _, route := range []*netlink.Route{
			{LinkIndex: link.Attrs().Index, Table: table, Dst: addrOf(way.own.Masked()).IPNet, Scope: netlink.SCOPE_LINK},
			{LinkIndex: link.Attrs().Index, Table: table, Gw: way.gateway.AsSlice()},
		} {
			if err := inner.RouteReplace(route); err != nil {
				return fmt.Errorf("cannot set route for answers: %w", err)
			}
		}
		if err := inner.RuleAdd(wayBack(way.own, table)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("cannot set rule for answers: %w", err)
		}
	}
	return nil
}

// dropWaysBack removes what setWaysBack did and does not go with the
// interface.
func dropWaysBack(inner *netlink.Handle, p port) error {
	for _, own := range []netip.Prefix{p.Address, p.Address6} {
		if !own.IsValid() {
			continue
		}
		err := inner.RuleDel(wayBack(own, 0))
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("cannot remove rule for answers: %w", err)
		}
	}
	return nil
}

// wayBack is the rule for what is sent from an address; table 0 is any.
func wayBack(own netip.Prefix, table int) *netlink.Rule {
	r := netlink.NewRule()
	r.Priority, r.Table = backPriority, table
	r.Src = addrOf(netip.PrefixFrom(own.Addr(), own.Addr().BitLen())).IPNet
	if own.Addr().Is6() {
		r.Family = netlink.FAMILY_V6
	}
	return r
}

// dropDefaultRoutes removes default routes that no port has any more. Those of
// interfaces that are gone went with them.
func dropDefaultRoutes(inner *netlink.Handle, ports []port) error {
	var v4, v6 bool
	for _, p := range ports {
		v4 = v4 || p.Primary && p.Gateway.IsValid()
		v6 = v6 || p.Primary && p.Gateway6.IsValid()
	}
	for _, family := range []struct {
		has bool
		any netip.Prefix
	}{{v4, netip.PrefixFrom(netip.IPv4Unspecified(), 0)}, {v6, netip.PrefixFrom(netip.IPv6Unspecified(), 0)}} {
		if family.has {
			continue
		}
		err := inner.RouteDel(&netlink.Route{Dst: addrOf(family.any).IPNet})
		if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("cannot remove default route: %w", err)
		}
	}
	return nil
}

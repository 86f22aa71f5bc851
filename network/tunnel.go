package network

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A tunnel is what a fabric's VXLAN interface knows of the other nodes. Nothing
// is learned and nothing is flooded: for every NIC elsewhere there is an entry
// of where its MAC is (forwarding database) and one of which MAC its address
// has (the kernel then answers ARP and neighbour solicitations by itself). The
// driver's mu guards it.
type tunnel struct {
	route *netlink.Handle
	index int
	have  map[string]remote // by MAC
}

// remote is a NIC on another node.
type remote struct {
	node      netip.Addr // in the underlay
	addresses [2]netip.Addr
	torn      bool // the kernel may know only half of it
}

// openTunnel reads what the kernel knows, from before a crash.
func openTunnel(route *netlink.Handle, index int) (*tunnel, error) {
	t := &tunnel{route: route, index: index, have: map[string]remote{}}
	places, err := route.NeighList(index, unix.AF_BRIDGE)
	if err != nil {
		return nil, fmt.Errorf("cannot read where NICs are: %w", err)
	}
	for _, p := range places {
		if node, ok := netip.AddrFromSlice(p.IP); ok && p.Flags&netlink.NTF_SELF != 0 {
			t.have[p.HardwareAddr.String()] = remote{node: node.Unmap()}
		}
	}
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		owners, err := route.NeighList(index, family)
		if err != nil {
			return nil, fmt.Errorf("cannot read whose addresses are whose: %w", err)
		}
		for _, o := range owners {
			if a, ok := netip.AddrFromSlice(o.IP); ok && o.State == netlink.NUD_PERMANENT {
				mac := o.HardwareAddr.String()
				r := t.have[mac]
				r.addresses[i] = a.Unmap()
				t.have[mac] = r
			}
		}
	}
	return t, nil
}

// sync makes the kernel know those and no others.
func (t *tunnel) sync(want map[string]remote) error {
	var errs []error
	for _, mac := range slices.Sorted(maps.Keys(t.have)) {
		if _, stays := want[mac]; !stays {
			errs = append(errs, t.forget(mac))
		}
	}
	for _, mac := range slices.Sorted(maps.Keys(want)) {
		if t.have[mac] != want[mac] {
			errs = append(errs, t.learn(mac, want[mac]))
		}
	}
	return errors.Join(errs...)
}

func (t *tunnel) learn(mac string, r remote) error {
	err := t.replace(mac, r)
	r.torn = err != nil
	t.have[mac] = r
	return err
}

func (t *tunnel) replace(mac string, r remote) error {
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return fmt.Errorf("cannot use MAC %q: %w", mac, err)
	}
	before := t.have[mac]
	for i, a := range before.addresses {
		if a.IsValid() && a != r.addresses[i] {
			if err := ignoreMissing(t.route.NeighDel(t.owner(a, hardware))); err != nil {
				return fmt.Errorf("cannot forget address %s: %w", a, err)
			}
		}
	}
	if before.node != r.node || before.torn {
		if before.node.IsValid() {
			if err := t.forgetPlace(hardware, before.node); err != nil {
				return err
			}
		}
		if err := t.route.NeighSet(t.place(hardware, r.node, netlink.NTF_SELF)); err != nil {
			return fmt.Errorf("cannot set where %s is: %w", mac, err)
		}
		if err := t.route.NeighSet(t.place(hardware, netip.Addr{}, netlink.NTF_MASTER)); err != nil {
			return fmt.Errorf("cannot set by which port %s is reached: %w", mac, err)
		}
	}
	for _, a := range r.addresses {
		if a.IsValid() {
			if err := t.route.NeighSet(t.owner(a, hardware)); err != nil {
				return fmt.Errorf("cannot set whose address %s is: %w", a, err)
			}
		}
	}
	return nil
}

func (t *tunnel) forget(mac string) error {
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return fmt.Errorf("cannot use MAC %q: %w", mac, err)
	}
	r := t.have[mac]
	for _, a := range r.addresses {
		if a.IsValid() {
			if err := ignoreMissing(t.route.NeighDel(t.owner(a, hardware))); err != nil {
				return fmt.Errorf("cannot forget address %s: %w", a, err)
			}
		}
	}
	if err := t.forgetPlace(hardware, r.node); err != nil {
		return err
	}
	delete(t.have, mac)
	return nil
}

func (t *tunnel) forgetPlace(mac net.HardwareAddr, node netip.Addr) error {
	err := errors.Join(
		ignoreMissing(t.route.NeighDel(t.place(mac, node, netlink.NTF_SELF))),
		ignoreMissing(t.route.NeighDel(t.place(mac, netip.Addr{}, netlink.NTF_MASTER))),
	)
	if err != nil {
		return fmt.Errorf("cannot forget where %s is: %w", mac, err)
	}
	return nil
}

// place is an entry of the forwarding database: of the tunnel itself, which
// says the node, or of the bridge, which says that the tunnel leads there.
func (t *tunnel) place(mac net.HardwareAddr, node netip.Addr, of int) *netlink.Neigh {
	state := netlink.NUD_PERMANENT
	if of == netlink.NTF_MASTER {
		state = netlink.NUD_NOARP // static: it does not age and does not move
	}
	return &netlink.Neigh{
		LinkIndex: t.index, Family: unix.AF_BRIDGE, State: state, Flags: of, HardwareAddr: mac, IP: node.AsSlice(),
	}
}

func (t *tunnel) owner(a netip.Addr, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: t.index, State: netlink.NUD_PERMANENT, HardwareAddr: mac, IP: a.AsSlice()}
}

func ignoreMissing(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

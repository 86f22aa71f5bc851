package networks

import (
	"cmp"
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
)

// Assign gives a NIC all that its network decides and that was not asked for:
// addresses, MAC and gateways. The NIC's addresses, where valid, are those
// asked for; their length is the network's. used reports addresses that are
// taken, and hint is the last one given out.
func Assign(n *model.Network, nic model.NIC, used func(netip.Addr) bool, hint netip.Addr) (model.NIC, error) {
	taken := func(a netip.Addr) bool { return used(a) || n.Reserves(a) }
	addr, err := address(*n, nic.Address.Addr(), taken, hint)
	if err != nil {
		return nic, err
	}
	nic.Address = netip.PrefixFrom(addr, n.Subnet.Bits())
	nic.MAC = cmp.Or(nic.MAC, ipam.MAC(n.ID, addr))
	nic.Gateway, nic.Gateway6 = n.Gateway, n.Gateway6
	if n.Internal {
		nic.Gateway, nic.Gateway6 = netip.Addr{}, netip.Addr{}
	}
	if !n.Subnet6.IsValid() {
		if nic.Address6.IsValid() {
			return nic, model.Errorf(model.KindInvalid, "network %s has no IPv6 subnet to give the address %s of", n.Name, nic.Address6.Addr())
		}
		return nic, nil
	}
	if addr, err = address(ipam.SixOf(*n), nic.Address6.Addr(), taken, netip.Addr{}); err != nil {
		return nic, err
	}
	nic.Address6 = netip.PrefixFrom(addr, n.Subnet6.Bits())
	return nic, nil
}

// address is the one asked for, if it can be had, or a free one.
func address(n model.Network, asked netip.Addr, taken func(netip.Addr) bool, hint netip.Addr) (netip.Addr, error) {
	switch {
	case !asked.IsValid():
		return ipam.Next(n, taken, hint)
	case !ipam.Usable(n, asked), n.Kind == model.NetworkExternal && (asked.Less(n.First) || n.Last.Less(asked)):
		return asked, model.Errorf(model.KindInvalid, "Invalid address %s: It does not belong to any of this network's subnets", asked)
	case taken(asked):
		return asked, model.Errorf(model.KindConflict, "Address already in use")
	}
	return asked, nil
}

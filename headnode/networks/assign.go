package networks

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/state"
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

// AssignIn gives a NIC what Assign does, and if it asks for a pool, on the
// first network of the pool that has a free address and that none of others is
// on. used and hint are asked about networks by their ids.
func AssignIn(v *state.View, accountID string, nic model.NIC, others []model.NIC, used func(string, netip.Addr) bool, hint func(string) netip.Addr) (model.NIC, error) {
	gone := model.Errorf(model.KindConflict, "the network of the container was removed meanwhile; try again")
	place := Place{}
	if nic.PoolID == "" {
		n, ok := v.Network(nic.NetworkID)
		if !ok {
			return nic, gone
		}
		place = placeOf(&n)
	} else {
		p, ok := v.NetworkPool(nic.PoolID)
		if !ok {
			return nic, gone
		}
		if place, ok = placeOfPool(v, accountID, &p); !ok {
			return nic, gone
		}
	}
	full := error(model.Errorf(model.KindForbidden, "the container is on each network of the pool %s already", place.Name))
	for _, n := range place.Networks {
		if slices.ContainsFunc(others, func(o model.NIC) bool { return o.NetworkID == n.ID }) {
			continue
		}
		if place.Pool && nic.Address.IsValid() && !n.Subnet.Contains(nic.Address.Addr()) {
			full = errForeign(nic.Address.Addr())
			continue
		}
		nic.NetworkID = n.ID
		made, err := Assign(&n, nic, func(a netip.Addr) bool { return used(n.ID, a) }, hint(n.ID))
		if err == nil || !place.Pool || !model.IsKind(err, model.KindExhausted) {
			return made, err
		}
		full = err
	}
	return nic, full
}

// errForeign refuses an address in Docker's words.
func errForeign(a netip.Addr) error {
	return model.Errorf(model.KindInvalid, "Invalid address %s: It does not belong to any of this network's subnets", a)
}

// address is the one asked for, if it can be had, or a free one.
func address(n model.Network, asked netip.Addr, taken func(netip.Addr) bool, hint netip.Addr) (netip.Addr, error) {
	switch {
	case !asked.IsValid():
		return ipam.Next(n, taken, hint)
	case !ipam.Usable(n, asked), n.Kind == model.NetworkExternal && (asked.Less(n.First) || n.Last.Less(asked)):
		return asked, errForeign(asked)
	case taken(asked):
		return asked, model.Errorf(model.KindConflict, "Address already in use")
	}
	return asked, nil
}

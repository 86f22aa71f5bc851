package ipam

import (
	"crypto/sha256"
	"net"
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
)

// Next returns a free address of the network's range: the first one after
// hint that used does not claim, going round at the end of the range. With the
// address that was given out last as hint, a freed address rests until all the
// others have had their turn, so that neighbours' caches and clients that are
// late do not meet a stranger. A hint outside of the range, or the zero Addr,
// starts at the range's beginning.
//
// The gateway and the subnet's own and broadcast addresses are never given
// out. The error is of model.KindExhausted when nothing is free.
func Next(n model.Network, used func(netip.Addr) bool, hint netip.Addr) (netip.Addr, error) {
	inRange := func(a netip.Addr) bool {
		return a.IsValid() && a.Compare(n.First) >= 0 && a.Compare(n.Last) <= 0
	}
	if !inRange(n.First) || !inRange(n.Last) {
		return netip.Addr{}, model.Errorf(model.KindInvalid, "network %s has no range of addresses", n.Name)
	}
	start := n.First
	if inRange(hint) && hint != n.Last {
		start = hint.Next()
	}
	reserved := [...]netip.Addr{n.Gateway, n.Subnet.Masked().Addr(), model.LastAddress(n.Subnet)}
	a := start
	for {
		if a != reserved[0] && a != reserved[1] && a != reserved[2] && !used(a) {
			return a, nil
		}
		if a == n.Last {
			a = n.First
		} else {
			a = a.Next()
		}
		if a == start {
			return netip.Addr{}, model.Errorf(model.KindExhausted, "no free address in network %s: remove a container that uses it, or ask the operator for a larger range", n.Name)
		}
	}
}

// MAC returns the hardware address of the NIC that has an address of a
// network: locally administered, always the same for the same two, and
// different for every address of one network (which is as far as Ethernet
// asks for it). So a neighbour that still remembers an address's former owner
// reaches the new one.
func MAC(networkID string, a netip.Addr) string {
	sum := sha256.Sum256([]byte(networkID))
	mac := net.HardwareAddr{0x02, sum[0], 0, 0, 0, 0}
	if a.Is4() || a.Is4In6() {
		v4 := a.As4()
		copy(mac[2:], v4[:])
		return mac.String()
	}
	sum = sha256.Sum256(append([]byte(networkID), a.AsSlice()...))
	copy(mac[1:], sum[:5])
	return mac.String()
}

// SixOf returns n with its IPv6 half in the place of the other one, as Next
// and Usable take it.
func SixOf(n model.Network) model.Network {
	n.Subnet, n.Gateway, n.First, n.Last = n.Subnet6, n.Gateway6, n.First6, n.Last6
	return n
}

// Usable reports whether a container can have an address of the network, in
// the range that is given out or not.
func Usable(n model.Network, a netip.Addr) bool {
	own := n.Subnet.Masked().Addr()
	return n.Subnet.Contains(a) && a != n.Gateway && a != own && (a.Is6() || a != model.LastAddress(n.Subnet))
}

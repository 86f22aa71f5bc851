package ipam

import (
	"net/netip"
	"regexp"

	"github.com/spearheadcloud/spearhead/model"
)

// Limits of a network's definition.
const (
	maxVLAN = 4094
	minMTU  = 576
	maxMTU  = 65535
	minBits = 8  // the largest subnet is a /8
	maxBits = 30 // the smallest one holds a gateway and a container

	minBits6 = 32
	maxBits6 = 124

	maxVNI = 1<<24 - 1 // RFC 7348, 5
)

var (
	networkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)
	tagName     = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,30}$`)
)

// Complete returns n with what its definition left open: the subnet without
// host bits, the gateway as the subnet's first address, and as range all that
// is left after it. It does not judge; see Validate.
func Complete(n model.Network) model.Network {
	if !n.Subnet.IsValid() {
		return n
	}
	n.Subnet = n.Subnet.Masked()
	n.Gateway, n.First, n.Last = completed(n.Subnet, n.Gateway, n.First, n.Last)
	if n.Subnet6.IsValid() {
		n.Subnet6 = n.Subnet6.Masked()
		n.Gateway6, n.First6, n.Last6 = completed(n.Subnet6, n.Gateway6, n.First6, n.Last6)
	}
	return n
}

func completed(subnet netip.Prefix, gateway, first, last netip.Addr) (g, f, l netip.Addr) {
	if !gateway.IsValid() {
		gateway = subnet.Addr().Next()
	}
	if !first.IsValid() {
		first = subnet.Addr().Next()
		if first == gateway {
			first = first.Next()
		}
	}
	if !last.IsValid() {
		last = model.LastAddress(subnet).Prev()
		if last == gateway {
			last = last.Prev()
		}
	}
	return gateway, first, last
}

// Validate returns an error of model.KindInvalid that names the field if n
// cannot be a network. Every field is judged as it is: call Complete first
// where a definition may leave things open.
func Validate(n model.Network) error {
	if !networkName.MatchString(n.Name) {
		return invalid("name", "use a letter or digit, then up to 62 letters, digits, or any of _ . -")
	}
	if err := validatePlace(n); err != nil {
		return err
	}
	if n.MTU != 0 && (n.MTU < minMTU || n.MTU > maxMTU) {
		return invalid("mtu", "use 576 to 65535, or 0 for the uplink's")
	}
	if err := validateSubnet(n); err != nil {
		return err
	}
	if n.Subnet6.IsValid() {
		if err := validateSubnet6(SixOf(n)); err != nil {
			return err
		}
	}
	for name, a := range n.Reserved {
		if !n.Subnet.Contains(a) && !n.Subnet6.Contains(a) {
			return invalid("reserved", "the address of "+name+" is not in the subnet")
		}
	}
	for _, r := range n.Routes {
		if err := validateRoute(n, r); err != nil {
			return err
		}
	}
	for _, r := range n.Resolvers {
		if !r.IsValid() || r.IsUnspecified() || r.IsMulticast() {
			return invalid("resolvers", "each must be the address of a name server")
		}
	}
	return nil
}

// validateRoute judges a way to another network: by an address of this one.
func validateRoute(n model.Network, r model.Route) error {
	on := n.Subnet
	if r.Via.Is6() {
		on = n.Subnet6
	}
	switch {
	case !r.To.IsValid() || r.To != r.To.Masked() || r.To.Bits() == 0:
		return invalid("routes", "each leads to a network, ADDRESS/BITS, that is not all of them")
	case !on.IsValid() || !on.Contains(r.Via) || r.To.Addr().Is4() != r.Via.Is4():
		return invalid("routes", "each goes by an address of the network's own subnet, of the same family")
	}
	return nil
}

// validatePlace judges by what the network is carried.
func validatePlace(n model.Network) error {
	switch n.Kind {
	case model.NetworkExternal:
		if !tagName.MatchString(n.NICTag) {
			return invalid("nic_tag", "an external network needs the tag of a NIC: a letter or digit, then up to 30 letters, digits, _ or -")
		}
		if n.VLAN > maxVLAN {
			return invalid("vlan", "use 1 to 4094, or 0 for untagged")
		}
		if n.VNI != 0 {
			return invalid("vni", "an external network has none")
		}
	case model.NetworkFabric:
		if n.NICTag != "" || n.VLAN != 0 {
			return invalid("nic_tag", "a fabric has no NIC tag and no VLAN")
		}
		if n.VNI == 0 || n.VNI > maxVNI {
			return invalid("vni", "a fabric has one from 1 to 16777215")
		}
	default:
		return invalid("kind", "use external or fabric")
	}
	return nil
}

// validateSubnet6 judges the IPv6 half, as SixOf gives it.
func validateSubnet6(n model.Network) error {
	switch {
	case !n.Subnet.Addr().Is6() || n.Subnet.Addr().Is4In6():
		return invalid("subnet6", "use an IPv6 prefix such as fd00:1::/64")
	case n.Subnet != n.Subnet.Masked():
		return invalid("subnet6", "it has bits set after the prefix")
	case n.Subnet.Bits() < minBits6 || n.Subnet.Bits() > maxBits6:
		return invalid("subnet6", "its prefix length must be 32 to 124")
	case n.Subnet.Addr().IsLinkLocalUnicast() || n.Subnet.Addr().IsMulticast() || n.Subnet.Addr().IsLoopback():
		return invalid("subnet6", "it is not one of ordinary addresses")
	}
	for _, f := range []struct {
		name string
		addr netip.Addr
	}{{"gateway6", n.Gateway}, {"first6", n.First}, {"last6", n.Last}} {
		if !n.Subnet.Contains(f.addr) {
			return invalid(f.name, "it is not in the subnet")
		}
	}
	if n.First.Compare(n.Last) > 0 {
		return invalid("last6", "it is before first6")
	}
	return nil
}

func validateSubnet(n model.Network) error {
	if !n.Subnet.IsValid() || !n.Subnet.Addr().Is4() {
		return invalid("subnet", "use an IPv4 prefix such as 192.0.2.0/24")
	}
	if n.Subnet != n.Subnet.Masked() {
		return invalid("subnet", "it has bits set after the prefix")
	}
	if n.Subnet.Bits() < minBits || n.Subnet.Bits() > maxBits {
		return invalid("subnet", "its prefix length must be 8 to 30")
	}
	if a := n.Subnet.Addr(); a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() || a.IsLinkLocalUnicast() {
		return invalid("subnet", "it is not one of ordinary addresses")
	}
	for _, f := range []struct {
		name string
		addr netip.Addr
	}{{"gateway", n.Gateway}, {"first", n.First}, {"last", n.Last}} {
		if !n.Subnet.Contains(f.addr) {
			return invalid(f.name, "it is not in the subnet")
		}
		if f.addr == n.Subnet.Addr() || f.addr == model.LastAddress(n.Subnet) {
			return invalid(f.name, "it is the subnet's own or its broadcast address")
		}
	}
	if n.First.Compare(n.Last) > 0 {
		return invalid("last", "it is before first")
	}
	return nil
}

func invalid(field, why string) error {
	return model.Errorf(model.KindInvalid, "invalid %s of network: %s", field, why)
}

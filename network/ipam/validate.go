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
	if !n.Gateway.IsValid() {
		n.Gateway = n.Subnet.Addr().Next()
	}
	if !n.First.IsValid() {
		n.First = n.Subnet.Addr().Next()
		if n.First == n.Gateway {
			n.First = n.First.Next()
		}
	}
	if !n.Last.IsValid() {
		n.Last = lastOf(n.Subnet).Prev()
		if n.Last == n.Gateway {
			n.Last = n.Last.Prev()
		}
	}
	return n
}

// Validate returns an error of model.KindInvalid that names the field if n
// cannot be a network. Every field is judged as it is: call Complete first
// where a definition may leave things open.
func Validate(n model.Network) error {
	if !networkName.MatchString(n.Name) {
		return invalid("name", "use a letter or digit, then up to 62 letters, digits, or any of _ . -")
	}
	switch n.Kind {
	case model.NetworkExternal:
	case model.NetworkFabric:
		return model.Errorf(model.KindNotImplemented, "network kind %q is not offered yet: use %q", n.Kind, model.NetworkExternal)
	default:
		return invalid("kind", "use external")
	}
	if !tagName.MatchString(n.NICTag) {
		return invalid("nic_tag", "an external network needs the tag of a NIC: a letter or digit, then up to 30 letters, digits, _ or -")
	}
	if n.VLAN > maxVLAN {
		return invalid("vlan", "use 1 to 4094, or 0 for untagged")
	}
	if n.VNI != 0 {
		return invalid("vni", "an external network has none")
	}
	if n.MTU != 0 && (n.MTU < minMTU || n.MTU > maxMTU) {
		return invalid("mtu", "use 576 to 65535, or 0 for the uplink's")
	}
	if err := validateSubnet(n); err != nil {
		return err
	}
	for _, r := range n.Resolvers {
		if !r.IsValid() || r.IsUnspecified() || r.IsMulticast() {
			return invalid("resolvers", "each must be the address of a name server")
		}
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
		if f.addr == n.Subnet.Addr() || f.addr == lastOf(n.Subnet) {
			return invalid(f.name, "it is the subnet's own or its broadcast address")
		}
	}
	if n.First.Compare(n.Last) > 0 {
		return invalid("last", "it is before first")
	}
	if n.Gateway.Compare(n.First) >= 0 && n.Gateway.Compare(n.Last) <= 0 {
		return invalid("gateway", "it is in the range that is given out")
	}
	return nil
}

func invalid(field, why string) error {
	return model.Errorf(model.KindInvalid, "invalid %s of network: %s", field, why)
}

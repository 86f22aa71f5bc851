package dockerapi

import (
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/model"
)

// Options of networks that this server knows, beside those whose only value is
// what it does anyway.
const optionMTU = "com.docker.network.driver.mtu"

// givenOptions may be asked for, as they say what holds in any case.
var givenOptions = map[string]string{
	"com.docker.network.bridge.enable_icc":           "true",
	"com.docker.network.bridge.enable_ip_masquerade": "true",
	"com.docker.network.enable_ipv4":                 "true",
}

// newNetwork checks what is asked of a new network. What is not asked for stays
// zero and is chosen later.
func newNetwork(r *network.CreateRequest) (model.Network, error) {
	n := model.Network{
		Name: r.Name, Driver: r.Driver, Internal: r.Internal, Attachable: r.Attachable,
		Labels: r.Labels, Options: r.Options,
	}
	if err := checkNetworkRequest(r); err != nil {
		return n, err
	}
	if err := networkOptions(&n, r.Options); err != nil {
		return n, err
	}
	if err := networkAddresses(&n, r); err != nil {
		return n, err
	}
	return n, nil
}

// checkNetworkFields refuses a field with a value that is none of the API's, but
// for one that only older versions have: names are always unique here.
func checkNetworkFields(body []byte) error {
	given := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &given); err != nil {
		return invalid("invalid JSON in the request body")
	}
	known := fieldsOf(reflect.TypeFor[network.CreateRequest]())
	for key, value := range given {
		if !known[fold(key)] && fold(key) != "checkduplicate" && !emptyJSON(value) {
			return invalid("unknown field %q of a network: leave it out", clipKey(key))
		}
	}
	return nil
}

func checkNetworkRequest(r *network.CreateRequest) error {
	if r.Name == "" {
		return invalid("network name is required: give it one")
	}
	if slices.Contains([]string{network.NetworkBridge, network.NetworkHost, network.NetworkNone, network.NetworkDefault}, r.Name) {
		return model.Errorf(model.KindForbidden, "operation is not permitted on predefined %s network; choose another name", r.Name)
	}
	if !slices.Contains([]string{"", model.DriverBridge, model.DriverOverlay}, r.Driver) {
		return model.Errorf(model.KindNotFound, "could not find plugin %q: networks have the driver bridge or overlay, and are the same across all nodes", clipKey(r.Driver))
	}
	if r.IPAM != nil && r.IPAM.Driver != "" && r.IPAM.Driver != "default" {
		return model.Errorf(model.KindNotFound, "could not find plugin %q: the IPAM driver is default", clipKey(r.IPAM.Driver))
	}
	for _, field := range []struct {
		name  string
		asked bool
	}{
		{"Scope", r.Scope != "" && r.Scope != "local"},
		{"Ingress", r.Ingress},
		{"ConfigOnly", r.ConfigOnly},
		{"ConfigFrom", r.ConfigFrom != nil && r.ConfigFrom.Network != ""},
		{"EnableIPv4", r.EnableIPv4 != nil && !*r.EnableIPv4},
		{"IPAM.Options", r.IPAM != nil && len(r.IPAM.Options) > 0},
	} {
		if field.asked {
			return model.Errorf(model.KindNotImplemented, "this version does not support %s of networks; leave it out", field.name)
		}
	}
	return nil
}

func networkOptions(n *model.Network, options map[string]string) error {
	for _, option := range sortedKeys(options) {
		value := options[option]
		switch only, given := givenOptions[option]; {
		case option == optionMTU:
			mtu, err := strconv.Atoi(value)
			if err != nil {
				return invalid("invalid option %s: %.64q is not a number", optionMTU, value)
			}
			n.MTU = mtu
		case given && value == only:
		default:
			return invalid("invalid option %.128q with the value %.64q: networks know %s", option, value, optionMTU)
		}
	}
	return nil
}

// networkAddresses takes one subnet of each family.
func networkAddresses(n *model.Network, r *network.CreateRequest) error {
	var configs []network.IPAMConfig
	if r.IPAM != nil {
		configs = r.IPAM.Config
	}
	for i := range configs {
		c := &configs[i]
		var err error
		switch {
		case !c.Subnet.IsValid():
			if c.IPRange.IsValid() || c.Gateway.IsValid() || len(c.AuxAddress) > 0 {
				err = invalid("IPAM.Config: an address range, a gateway or auxiliary addresses need a subnet: name it")
			}
		case c.Subnet.Addr().Is4() && !n.Subnet.IsValid():
			n.Subnet, n.Gateway, n.First, n.Last, err = pool(c)
		case c.Subnet.Addr().Is6() && !n.Subnet6.IsValid():
			n.Subnet6, n.Gateway6, n.First6, n.Last6, err = pool(c)
		default:
			err = model.Errorf(model.KindNotImplemented, "this version does not support a second subnet of one family in IPAM.Config; leave %s out", c.Subnet)
		}
		if err != nil {
			return err
		}
		for name, a := range c.AuxAddress {
			if !c.Subnet.Contains(a) {
				return invalid("no matching subnet for aux-address %s", a)
			}
			if n.Reserved == nil {
				n.Reserved = map[string]netip.Addr{}
			}
			n.Reserved[name] = a
		}
	}
	if r.EnableIPv6 != nil && *r.EnableIPv6 && !n.Subnet6.IsValid() {
		n.Subnet6 = uniqueLocal()
	}
	return nil
}

// pool is a subnet as the data center describes it: the range as its two ends.
func pool(c *network.IPAMConfig) (subnet netip.Prefix, gateway, first, last netip.Addr, err error) {
	subnet, gateway = c.Subnet.Masked(), c.Gateway
	if gateway.IsValid() && !subnet.Contains(gateway) {
		return subnet, gateway, first, last, invalid("no matching subnet for gateway %s", gateway)
	}
	if !c.IPRange.IsValid() {
		return subnet, gateway, first, last, nil
	}
	within := c.IPRange.Masked()
	if within.Bits() < subnet.Bits() || !subnet.Contains(within.Addr()) {
		return subnet, gateway, first, last, invalid("no matching subnet for range %s", c.IPRange)
	}
	first, last = within.Addr(), model.LastAddress(within)
	if first == subnet.Addr() {
		first = first.Next()
	}
	if subnet.Addr().Is4() && last == model.LastAddress(subnet) {
		last = last.Prev()
	}
	return subnet, gateway, first, last, nil
}

// uniqueLocal is a network of the range that everybody draws from by lot (RFC
// 4193, 3.2).
func uniqueLocal() netip.Prefix {
	a := [16]byte{0xfd}
	rand.Read(a[1:6]) // never fails (crypto/rand)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// asksMore reports whether e asks for more than to be on its network.
func asksMore(e *model.Endpoint) bool {
	return e.Address.IsValid() || e.Address6.IsValid() || e.MAC != "" || len(e.Aliases) > 0 || len(e.Links) > 0 || e.Priority != 0
}

// newEndpoint checks what is asked of a container on a network. What a client
// repeats of a container that ran before (addresses, ids) asks for nothing.
// unsupported are the fields that cannot be honoured.
func newEndpoint(name string, e *network.EndpointSettings) (asked model.Endpoint, unsupported []string, err error) {
	asked.Network = name
	if e == nil {
		return asked, nil, nil
	}
	asked.Aliases, asked.Priority = slices.Clone(e.Aliases), e.GwPriority
	for _, alias := range e.Aliases {
		if alias == "" || len(alias) > 253 {
			return asked, nil, invalid("invalid network alias %.64q: use 1 to 253 characters", alias)
		}
	}
	if asked.Links, err = endpointLinks(e.Links); err != nil {
		return asked, nil, err
	}
	if len(e.MacAddress) > 0 {
		if len(e.MacAddress) != 6 || e.MacAddress[0]&1 != 0 {
			return asked, nil, invalid("invalid MAC address %.64q: use six bytes, of which the first is even: an odd one is of a group", e.MacAddress.String())
		}
		asked.MAC = e.MacAddress.String()
	}
	if e.IPAMConfig != nil {
		asked.Address, asked.Address6 = e.IPAMConfig.IPv4Address, e.IPAMConfig.IPv6Address
		if asked.Address.IsValid() && !asked.Address.Is4() {
			return asked, nil, invalid("invalid IPv4 address: %s", asked.Address)
		}
		if asked.Address6.IsValid() && !asked.Address6.Is6() {
			return asked, nil, invalid("invalid IPv6 address: %s", asked.Address6)
		}
		if len(e.IPAMConfig.LinkLocalIPs) > 0 {
			unsupported = append(unsupported, "IPAMConfig.LinkLocalIPs")
		}
	}
	if len(e.DriverOpts) > 0 {
		unsupported = append(unsupported, "DriverOpts")
	}
	return asked, unsupported, nil
}

// endpointLinks reads NAME[:ALIAS], as --link has it on a network of the
// user's. Unlike the links of the default network they are names and no more:
// the other container need not exist yet.
func endpointLinks(texts []string) ([]string, error) {
	var links []string
	for _, text := range texts {
		name, alias, named := strings.Cut(text, ":")
		if !named {
			alias = name
		}
		if name == "" || len(name) > 253 || alias == "" || len(alias) > 253 || strings.Contains(alias, ":") {
			return nil, invalid("bad format for links: %.128s", text)
		}
		links = append(links, name+":"+alias)
	}
	return links, nil
}

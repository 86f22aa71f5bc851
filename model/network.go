package model

import (
	"net/netip"
	"slices"
	"time"
)

// NetworkKind tells a physical network from an overlay.
type NetworkKind string

// An external network has addresses of a physical network; a fabric is an
// account's private overlay.
const (
	NetworkExternal NetworkKind = "external"
	NetworkFabric   NetworkKind = "fabric"
)

// Network is a subnet whose addresses the data center gives to containers.
type Network struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Kind      NetworkKind  `json:"kind"`
	Driver    string       `json:"driver,omitempty"`     // of a fabric, as its owner asked for it: bridge or overlay
	AccountID string       `json:"account_id,omitempty"` // owner of a fabric
	NICTag    string       `json:"nic_tag,omitempty"`    // external: the physical network's tag
	VLAN      uint16       `json:"vlan,omitempty"`       // external: 0 is untagged
	VNI       uint32       `json:"vni,omitempty"`        // fabric: its number on the wire, its own in the data center, 1 to 2²⁴-1
	Subnet    netip.Prefix `json:"subnet"`
	Gateway   netip.Addr   `json:"gateway"` // of a fabric that is not internal: on every node
	First     netip.Addr   `json:"first"`   // the range that is given out, both ends included
	Last      netip.Addr   `json:"last"`
	Subnet6   netip.Prefix `json:"subnet6,omitzero"` // invalid: no IPv6
	Gateway6  netip.Addr   `json:"gateway6,omitzero"`
	First6    netip.Addr   `json:"first6,omitzero"`
	Last6     netip.Addr   `json:"last6,omitzero"`
	// Resolvers are asked for names that are not of the data center. Without
	// any, nodes ask their own.
	Resolvers []netip.Addr `json:"resolvers,omitempty"`
	Routes    []Route      `json:"routes,omitempty"`  // that containers get besides the default one
	MTU       int          `json:"mtu,omitempty"`     // 0 is the most that the wire carries
	Default   bool         `json:"default,omitempty"` // containers that name no network get this one

	// Internal has no way out: neither default route nor NAT nor names of others.
	Internal bool `json:"internal,omitempty"`
	// Accounts are those that may use an external network; none is all.
	Accounts []string `json:"accounts,omitempty"`
	// Reserved are addresses within the range that are not given out, by the
	// name that they were reserved for.
	Reserved   map[string]netip.Addr `json:"reserved,omitempty"`
	Attachable bool                  `json:"attachable,omitempty"` // as asked for; all networks are
	Labels     map[string]string     `json:"labels,omitempty"`
	Options    map[string]string     `json:"options,omitempty"` // as asked for
	Created    time.Time             `json:"created,omitzero"`
	// Removing says that the network is there for nobody any more: it goes
	// when nodes have let go the NICs of containers that did not run. Its name
	// is then its id.
	Removing bool `json:"removing,omitempty"`
}

// UsableBy reports whether containers of an account may be on the network.
func (n *Network) UsableBy(accountID string) bool {
	if n.Removing {
		return false
	}
	if n.AccountID != "" {
		return n.AccountID == accountID
	}
	return len(n.Accounts) == 0 || slices.Contains(n.Accounts, accountID)
}

// Reserves reports whether an address is kept from containers.
func (n *Network) Reserves(a netip.Addr) bool {
	for _, r := range n.Reserved {
		if r == a {
			return true
		}
	}
	return false
}

// Endpoint is what a request says of one network that a container is to be on.
type Endpoint struct {
	Network  string     `json:"network,omitempty"` // name, id or its beginning; "" is the default one
	Address  netip.Addr `json:"address,omitzero"`  // valid: this one, or none
	Address6 netip.Addr `json:"address6,omitzero"`
	MAC      string     `json:"mac,omitempty"`
	Aliases  []string   `json:"aliases,omitempty"`
	Links    []string   `json:"links,omitempty"` // as in NIC
	// Priority is higher for the network that is to have the default route.
	Priority int `json:"priority,omitempty"`
}

// Route says by which address of a network another one is reached.
type Route struct {
	To  netip.Prefix `json:"to"`
	Via netip.Addr   `json:"via"`
}

// NetworkPool is several external networks under one name: a container gets an
// address of one of them.
type NetworkPool struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Networks []string `json:"networks"`           // ids, the preferred one first
	Accounts []string `json:"accounts,omitempty"` // that may use it; none is all
	Default  bool     `json:"default,omitempty"`  // containers that name no network get this one
}

// UsableBy reports whether containers of an account may ask for the pool. Of
// its networks they get those that the account may use.
func (p *NetworkPool) UsableBy(accountID string) bool {
	return len(p.Accounts) == 0 || slices.Contains(p.Accounts, accountID)
}

// Drivers of networks, as Docker's clients know them.
const (
	DriverBridge  = "bridge"
	DriverOverlay = "overlay"
)

// NetworkDriver is what a network's driver is called to its users.
func NetworkDriver(n *Network) string {
	if n.Driver == "" {
		return DriverBridge
	}
	return n.Driver
}

package model

import "net/netip"

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
	AccountID string       `json:"account_id,omitempty"` // owner of a fabric
	NICTag    string       `json:"nic_tag,omitempty"`    // external: the physical network's tag
	VLAN      uint16       `json:"vlan,omitempty"`       // external: 0 is untagged
	VNI       uint32       `json:"vni,omitempty"`        // fabric
	Subnet    netip.Prefix `json:"subnet"`
	Gateway   netip.Addr   `json:"gateway"`
	First     netip.Addr   `json:"first"` // the range that is given out, both ends included
	Last      netip.Addr   `json:"last"`
	Resolvers []netip.Addr `json:"resolvers,omitempty"`
	MTU       int          `json:"mtu,omitempty"`     // 0 is the uplink's
	Default   bool         `json:"default,omitempty"` // containers that name no network get this one
}

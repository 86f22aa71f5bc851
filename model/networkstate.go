package model

import "net/netip"

// NetworkState is what a node knows of networks beyond its containers' own
// NICs: who else is there, under which names, and who may talk to whom. It
// holds only networks that the node has NICs on. Heads compute it; a node
// keeps the last one and works by it, also while it sees no head.
type NetworkState struct {
	Networks  []NetworkView `json:"networks,omitempty"`
	Sets      []AddressSet  `json:"sets,omitempty"`
	Firewalls []Firewall    `json:"firewalls,omitempty"` // of the node's own containers
}

// NetworkView is a network and its NICs. Of an external network it holds only
// NICs of accounts that have some on the node: a wire forwards by itself.
type NetworkView struct {
	Network Network  `json:"network"`
	Members []Member `json:"members,omitempty"`
}

// Member is one container on a network, on whichever node.
type Member struct {
	ContainerID string `json:"container_id"`
	AccountID   string `json:"account_id"`
	// Underlay is the address that fabrics reach the member's node by.
	Underlay netip.Addr `json:"underlay,omitzero"`
	MAC      string     `json:"mac"`
	Address  netip.Addr `json:"address"`
	Address6 netip.Addr `json:"address6,omitzero"`
	// Names are what others find it by: its name first, and its aliases. The
	// short id goes without saying.
	Names []string `json:"names,omitempty"`
	// Services are found by their names where no container has them.
	Services []Service `json:"services,omitempty"`
	// Up says that its names are answered: it runs, and is not taken out.
	Up bool `json:"up,omitempty"`
}

// MachinesSet is the id of the set of addresses that nodes and heads have. No
// fabric reaches them.
const MachinesSet = "machines"

// AddressSet is addresses under a name that firewall rules use, such as those
// of all containers with a tag. A change of it changes no rule.
type AddressSet struct {
	ID       string         `json:"id"` // up to 128 characters
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
}

// Firewall is the rules of one container's NICs. The first rule that matches
// decides. If none does: what goes out may, and what comes in may if it is an
// answer, comes from an own container of the account on the same network, or
// is for an open port (NIC.Ports), or asks for an echo.
type Firewall struct {
	ContainerID string         `json:"container_id"`
	Rules       []FirewallRule `json:"rules,omitempty"`
}

// FirewallRule lets through or drops what begins a conversation.
type FirewallRule struct {
	Inbound bool `json:"inbound,omitempty"` // else outbound
	Allow   bool `json:"allow,omitempty"`   // else drop
	// Protocol is tcp, udp, sctp, icmp, icmp6, ah, esp; "" is any.
	Protocol string      `json:"protocol,omitempty"`
	Ports    []PortRange `json:"ports,omitempty"` // the container's own if inbound, else the other side's; none is all
	// ICMPType and ICMPCode narrow icmp and icmp6; nil is any.
	ICMPType *uint8 `json:"icmp_type,omitempty"`
	ICMPCode *uint8 `json:"icmp_code,omitempty"`
	// Prefixes and Sets (ids) are the other side: any of them matches. With
	// neither, everybody does.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	Sets     []string       `json:"sets,omitempty"`
}

// PortRange is ports from First to Last, both included.
type PortRange struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

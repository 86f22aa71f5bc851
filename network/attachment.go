package network

import (
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
)

// Attachment is a container and the NICs that it is to have.
type Attachment struct {
	Container string // its id, or another name that is unique on the node
	Account   string
	NICs      []model.NIC
	Networks  []model.Network // at least those of the NICs
	// Resolver offers the names of the container's networks, and of the
	// world, at ResolverAddress in its namespace.
	Resolver bool
	// DNS are name servers to ask instead of the networks' and the node's.
	DNS []netip.Addr
}

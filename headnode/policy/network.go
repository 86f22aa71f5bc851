package policy

import "github.com/spearheadcloud/spearhead/model"

// CheckEndpoint returns what a may not ask of a network. On a fabric of its
// own it may ask for anything.
func CheckEndpoint(a model.Account, n *model.Network, e *model.Endpoint) []Violation {
	var c checker
	if a.Policy != model.PolicyTrusted && n.Kind != model.NetworkFabric {
		c.denyIf(e.MAC != "", "NetworkingConfig.MacAddress", "the data center chooses the hardware address on its networks")
	}
	return c.found
}

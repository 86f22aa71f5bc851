package network

import (
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/spearheadcloud/spearhead/model"
)

// addRules adds the rules of one direction, whose sets are there; allow is what
// becomes of what one of them allows. A rule becomes one for each combination
// of its ports and other sides.
func addRules(c *nftables.Conn, chain *nftables.Chain, rules []model.FirewallRule, sets map[string][2]*nftables.Set, inbound bool, allow []expr.Any) {
	other := source
	if !inbound {
		other = destination
	}
	for _, r := range rules {
		if r.Inbound != inbound {
			continue
		}
		then := refuse
		if r.Allow {
			then = allow
		}
		for _, what := range matchTraffic(r) {
			for _, who := range matchSides(r, sets, other) {
				addRule(c, chain, what, who, then)
			}
		}
	}
}

// matchTraffic are the alternatives of a rule's protocol and ports.
func matchTraffic(r model.FirewallRule) (alternatives [][]expr.Any) {
	number, named := protocols[r.Protocol]
	if !named {
		return [][]expr.Any{nil}
	}
	base := isProtocol(number)
	switch {
	case r.ICMPType != nil:
		base = append(base, transportByte(0, *r.ICMPType)...)
		if r.ICMPCode != nil {
			base = append(base, transportByte(1, *r.ICMPCode)...)
		}
	case len(r.Ports) > 0:
		for _, p := range r.Ports {
			alternatives = append(alternatives, slices.Concat(base, destinationPorts(p.First, p.Last)))
		}
		return alternatives
	}
	return [][]expr.Any{base}
}

// matchSides are the alternatives of a rule's other side.
func matchSides(r model.FirewallRule, sets map[string][2]*nftables.Set, other side) (alternatives [][]expr.Any) {
	if len(r.Prefixes) == 0 && len(r.Sets) == 0 {
		return [][]expr.Any{nil}
	}
	for _, p := range r.Prefixes {
		alternatives = append(alternatives, other.within(p))
	}
	for _, id := range r.Sets {
		for i, set := range sets[id] {
			alternatives = append(alternatives, other.in(set, i == 1))
		}
	}
	return alternatives
}

package fwrule

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// Rule is what one text says.
type Rule struct {
	From, To []Target
	Allow    bool // else block
	Protocol string
	Ports    []model.PortRange // none is all
	ICMPType *uint8            // nil is any
	ICMPCode *uint8
	Priority int // 0 to MaxPriority; the higher one decides
}

// MaxPriority is the highest priority of a rule. Accounts give their own rules
// MaxAccountPriority at most, so that an operator's rule with a higher one
// decides, whatever an account writes.
const (
	MaxPriority        = 100
	MaxAccountPriority = 49
)

// Kind is what sort of target a target is.
type Kind string

// The kinds of targets.
const (
	Any    Kind = "any"    // everybody
	All    Kind = "all"    // all containers of the account
	Prefix Kind = "prefix" // an address or a subnet
	Tag    Kind = "tag"    // containers with a label
	VM     Kind = "vm"     // one container, by its id
)

// Target is one side of a rule, or a part of it.
type Target struct {
	Kind   Kind
	Prefix netip.Prefix // of Prefix
	Name   string       // of Tag: the label; of VM: the id, or as much of it as was written
	Value  *string      // of Tag: nil is any value
}

// Set names the addresses that a target stands for, among those of its account;
// "" for a target that names addresses itself.
func (t *Target) Set() string {
	switch t.Kind {
	case All:
		return "all"
	case VM:
		return "vm " + t.Name
	case Tag:
		if t.Value == nil {
			return "tag " + t.Name
		}
		return "tag " + t.Name + "=" + *t.Value
	}
	return ""
}

// Matches reports whether a target stands for the container c, which is of the
// rule's account, by what c is. A target that names addresses does not.
func (t *Target) Matches(c *model.Container) bool {
	switch t.Kind {
	case Any, All:
		return true
	case VM:
		return strings.HasPrefix(c.ID, t.Name)
	case Tag:
		value, ok := c.Spec.Labels[t.Name]
		return ok && (t.Value == nil || *t.Value == value)
	}
	return false
}

// About reports whether a rule says something to the container c about what
// comes in, and about what goes out.
func (r *Rule) About(c *model.Container) (inbound, outbound bool) {
	matches := func(t Target) bool { return t.Matches(c) || t.Kind == Prefix && t.holds(c) }
	return slices.ContainsFunc(r.To, matches), slices.ContainsFunc(r.From, matches)
}

// holds reports whether an address of the container is in the prefix.
func (t *Target) holds(c *model.Container) bool {
	return slices.ContainsFunc(c.NICs, func(n model.NIC) bool {
		return t.Prefix.Contains(n.Address.Addr()) || n.Address6.IsValid() && t.Prefix.Contains(n.Address6.Addr())
	})
}

// Order sorts the rules of one direction so that the first that matches
// decides: a higher priority wins, and among equals what comes in is let in
// rather than blocked, and what goes out is blocked rather than let out.
func Order(rules []Rule, inbound bool) {
	slices.SortStableFunc(rules, func(a, b Rule) int {
		switch {
		case a.Priority != b.Priority:
			return b.Priority - a.Priority
		case a.Allow == b.Allow:
			return 0
		case a.Allow == inbound:
			return -1
		}
		return 1
	})
}

// Compiled is a rule as a node acts by it, for what comes in or goes out. sets
// gives the node's name of a target's addresses.
func (r *Rule) Compiled(inbound bool, sets func(*Target) string) model.FirewallRule {
	out := model.FirewallRule{
		Inbound: inbound, Allow: r.Allow, Protocol: r.Protocol, Ports: r.Ports, ICMPType: r.ICMPType, ICMPCode: r.ICMPCode,
	}
	others := r.From
	if !inbound {
		others = r.To
	}
	for i := range others {
		switch t := &others[i]; t.Kind {
		case Any:
			out.Prefixes, out.Sets = nil, nil
			return out
		case Prefix:
			out.Prefixes = append(out.Prefixes, t.Prefix)
		default:
			if id := sets(t); !slices.Contains(out.Sets, id) {
				out.Sets = append(out.Sets, id)
			}
		}
	}
	return out
}

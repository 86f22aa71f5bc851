package networks

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/fwrule"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// compileRules works out what the rules of an account, and those of all, say
// to each of its containers. The addresses that a rule names by tags are sets:
// as containers come and go these change, and the rules stay.
func (p *part) compileRules(v *state.View, accountID string) {
	rules := readRules(append(v.Rules(accountID), v.Rules("")...))
	if len(rules) == 0 {
		return
	}
	own := v.Containers(accountID)
	setOf := func(t *fwrule.Target) string {
		id := accountID + " " + t.Set()
		if len(id) > maxSetID {
			id = accountID + " " + fixedName(t.Set())
		}
		if _, ok := p.sets[id]; !ok {
			p.sets[id] = model.AddressSet{ID: id, Prefixes: addressesOf(own, t)}
		}
		return id
	}
	for _, c := range own {
		f := model.Firewall{ContainerID: c.ID, Rules: append(rulesFor(c, rules, true, setOf), rulesFor(c, rules, false, setOf)...)}
		if len(f.Rules) > 0 && len(c.NICs) > 0 {
			p.firewalls[c.NodeID] = append(p.firewalls[c.NodeID], f)
		}
	}
	for _, firewalls := range p.firewalls {
		slices.SortFunc(firewalls, func(a, b model.Firewall) int { return strings.Compare(a.ContainerID, b.ContainerID) })
	}
}

// readRules are those that are enabled. The state has checked that they can be
// read.
func readRules(texts []*model.Rule) []fwrule.Rule {
	var rules []fwrule.Rule
	for _, text := range texts {
		if r, err := fwrule.Parse(text.Text); err == nil && text.Enabled {
			rules = append(rules, r)
		}
	}
	return rules
}

// rulesFor are those that say something to c about one direction, in their
// order. What goes out may, so without a block there is nothing to say.
func rulesFor(c *model.Container, rules []fwrule.Rule, inbound bool, setOf func(*fwrule.Target) string) []model.FirewallRule {
	var about []fwrule.Rule
	blocks := inbound
	for _, r := range rules {
		in, out := r.About(c)
		if inbound && in || !inbound && out {
			about = append(about, r)
			blocks = blocks || !r.Allow
		}
	}
	if !blocks {
		return nil
	}
	fwrule.Order(about, inbound)
	compiled := make([]model.FirewallRule, len(about))
	for i := range about {
		compiled[i] = about[i].Compiled(inbound, setOf)
	}
	return compiled
}

// addressesOf are those of the containers that a target stands for, sorted.
func addressesOf(containers []*model.Container, t *fwrule.Target) []netip.Prefix {
	all := []netip.Prefix{}
	for _, c := range containers {
		if !t.Matches(c) {
			continue
		}
		for _, nic := range c.NICs {
			for _, a := range []netip.Addr{nic.Address.Addr(), nic.Address6.Addr()} {
				if a.IsValid() {
					all = append(all, netip.PrefixFrom(a, a.BitLen()))
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return slices.Compact(all)
}

// addFirewalls adds to what a node is told the rules of its containers and the
// sets that they use.
func (p *part) addFirewalls(s *model.NetworkState, nodeID string) {
	used := map[string]bool{}
	for _, f := range p.firewalls[nodeID] {
		for _, r := range f.Rules {
			for _, id := range r.Sets {
				used[id] = true
			}
		}
		s.Firewalls = append(s.Firewalls, f)
	}
	ids := make([]string, 0, len(used))
	for id := range used {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		s.Sets = append(s.Sets, p.sets[id])
	}
}

// maxSetID bounds a set's id; longer ones are told by a digest.
const maxSetID = 128

// fixedName stands for a text that is too long for a name.
func fixedName(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

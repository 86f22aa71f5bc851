package network

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/resolver"
)

// wall is the firewall of a container: what its table in its own namespace is
// made of. No container may change it: that takes a capability which opens
// everything on the node, and which only trusted accounts may ask for.
type wall struct {
	closed []string // interfaces that are closed to who is not let in
	// friends are networks of own containers, by interface.
	friends map[string][]netip.Prefix
	maps    []portMap // open ports
	rules   []model.FirewallRule
	dns     resolver.Ports // where the container's resolver listens; zero without one

	shared bool // an interface is on a wire that others share: peers may be

	// What follows changes often, and then as single elements.
	peers map[peer]bool                    // own containers on wires that others share
	sets  map[string]map[netip.Prefix]bool // that rules use, by id
}

// portMap is an open port of an interface.
type portMap struct {
	link     string
	protocol byte
	model.PortMap
}

// peer is who may come in by an interface.
type peer struct {
	link    string
	address netip.Addr
}

// protocols are those that rules may name, as in IANA's register.
var protocols = map[string]byte{
	"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP,
	"icmp": unix.IPPROTO_ICMP, "icmp6": unix.IPPROTO_ICMPV6, "ah": unix.IPPROTO_AH, "esp": unix.IPPROTO_ESP,
}

// newWall says which firewall a container must have; nil is none.
func newWall(b *sandbox, told *directory) (*wall, error) {
	w := &wall{friends: map[string][]netip.Prefix{}, peers: map[peer]bool{}, sets: map[string]map[netip.Prefix]bool{}}
	for _, p := range b.rec.Ports {
		for _, m := range p.Ports {
			number, ok := protocols[m.Protocol]
			if !ok || m.Port == 0 || m.Target == 0 {
				return nil, model.Errorf(model.KindInvalid, "cannot open port %d/%s to %d of interface %s", m.Port, m.Protocol, m.Target, p.Interface)
			}
			w.maps = append(w.maps, portMap{link: p.Interface, protocol: number, PortMap: m})
		}
		if !p.Firewall {
			continue
		}
		w.closed = append(w.closed, p.Interface)
		w.friends[p.Interface] = p.Subnets
		w.shared = w.shared || len(p.Subnets) == 0
		if n := told.networks[p.NetworkID]; n != nil && len(p.Subnets) == 0 {
			for _, m := range n.members {
				if m.AccountID != b.rec.Account || m.ContainerID == b.id {
					continue
				}
				for _, a := range []netip.Addr{m.Address, m.Address6} {
					if a.IsValid() {
						w.peers[peer{p.Interface, a}] = true
					}
				}
			}
		}
	}
	if len(w.closed) > 0 {
		w.rules = told.firewalls[b.id]
	}
	if err := w.addRuleSets(told); err != nil {
		return nil, err
	}
	w.dns = b.dns
	if len(w.closed) == 0 && w.dns == (resolver.Ports{}) && !w.hasMoved() {
		return nil, nil
	}
	return w, nil
}

// hasMoved tells whether a port leads to another one, and hasOpen whether one
// leads to itself.
func (w *wall) hasMoved() bool {
	return slices.ContainsFunc(w.maps, func(m portMap) bool { return m.Port != m.Target })
}

func (w *wall) hasOpen() bool {
	return slices.ContainsFunc(w.maps, func(m portMap) bool { return m.Port == m.Target })
}

// addRuleSets checks the rules and adds the sets that they use.
func (w *wall) addRuleSets(told *directory) error {
	for i, r := range w.rules {
		if err := checkRule(r); err != nil {
			return model.Errorf(model.KindInvalid, "cannot use firewall rule %d: %s", i+1, model.UserText(err))
		}
		for _, id := range r.Sets {
			prefixes, ok := told.sets[id]
			if !ok {
				return model.Errorf(model.KindInvalid, "cannot use firewall rule %d: there is no set of addresses %q", i+1, id)
			}
			w.sets[id] = map[netip.Prefix]bool{}
			for _, p := range prefixes {
				if !p.IsValid() {
					return model.Errorf(model.KindInvalid, "cannot use set of addresses %q: one of them is none", id)
				}
				w.sets[id][p.Masked()] = true
			}
		}
	}
	return nil
}

func checkRule(r model.FirewallRule) error {
	_, known := protocols[r.Protocol]
	hasPorts := r.Protocol == "tcp" || r.Protocol == "udp" || r.Protocol == "sctp"
	isICMP := r.Protocol == "icmp" || r.Protocol == "icmp6"
	switch {
	case r.Protocol != "" && !known:
		return model.Errorf(model.KindInvalid, "unknown protocol %q", r.Protocol)
	case len(r.Ports) > 0 && !hasPorts:
		return model.Errorf(model.KindInvalid, "protocol %q has no ports", r.Protocol)
	case r.ICMPType != nil && !isICMP, r.ICMPCode != nil && r.ICMPType == nil:
		return model.Errorf(model.KindInvalid, "protocol %q has no such type or code", r.Protocol)
	case slices.ContainsFunc(r.Ports, func(p model.PortRange) bool { return p.First > p.Last }):
		return model.Errorf(model.KindInvalid, "a range of ports ends before it begins")
	case slices.ContainsFunc(r.Prefixes, func(p netip.Prefix) bool { return !p.IsValid() }):
		return model.Errorf(model.KindInvalid, "an address is none")
	}
	return nil
}

// applyWall makes the container's firewall what it must be. The caller holds
// b.mu.
func (d *Driver) applyWall(b *sandbox) error {
	want, err := newWall(b, d.told.Load())
	if err != nil || b.walled && reflect.DeepEqual(b.wall, want) {
		return err
	}
	ns, err := b.namespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	known := b.walled
	b.walled = false // until it is known again
	switch {
	case want == nil:
		err = transact(ns, func(c *nftables.Conn) error {
			removeTable(c, nftables.TableFamilyINet, inetTable)
			return nil
		})
	case known && b.wall == nil:
		err = transact(ns, want.build)
	case known && want.sameRules(b.wall):
		err = transact(ns, func(c *nftables.Conn) error { return want.change(c, b.wall) })
	default:
		err = transact(ns, want.rebuild)
	}
	if err != nil {
		return fmt.Errorf("cannot set the firewall of container %s: %w", model.ShortID(b.id), err)
	}
	b.walled = true
	b.wall = want
	return nil
}

// sameRules tells whether two walls differ in elements of sets only, and each
// set is of the same sort.
func (w *wall) sameRules(o *wall) bool {
	if len(w.sets) != len(o.sets) {
		return false
	}
	for id := range w.sets {
		if _, ok := o.sets[id]; !ok || hasRanges(w.sets[id]) || hasRanges(o.sets[id]) {
			return false
		}
	}
	return slices.Equal(w.closed, o.closed) && slices.Equal(w.maps, o.maps) && w.dns == o.dns && w.shared == o.shared &&
		reflect.DeepEqual(w.friends, o.friends) && reflect.DeepEqual(w.rules, o.rules)
}

// change makes of the wall has, in the kernel, the wall w.
func (w *wall) change(c *nftables.Conn, has *wall) error {
	t := newWallTable(w)
	for _, change := range []struct {
		do       func(*nftables.Set, []nftables.SetElement) error
		from, to *wall
	}{{c.SetDeleteElements, w, has}, {c.SetAddElements, has, w}} {
		var v4, v6 []nftables.SetElement
		for p := range change.to.peers {
			if !change.from.peers[p] {
				v4, v6 = byFamily(v4, v6, p.address, p.key())
			}
		}
		if err := eachFamily(change.do, t.peers, v4, v6); err != nil {
			return err
		}
		for id, set := range change.to.sets {
			var v4, v6 []nftables.SetElement
			for p := range set {
				if !change.from.sets[id][p] {
					v4, v6 = byFamily(v4, v6, p.Addr(), p.Addr().AsSlice())
				}
			}
			if err := eachFamily(change.do, t.sets[id], v4, v6); err != nil {
				return err
			}
		}
	}
	return nil
}

func byFamily(v4, v6 []nftables.SetElement, a netip.Addr, key []byte) (with4, with6 []nftables.SetElement) {
	if a.Is4() {
		return append(v4, nftables.SetElement{Key: key}), v6
	}
	return v4, append(v6, nftables.SetElement{Key: key})
}

// eachFamily does something with the elements of a pair of sets.
func eachFamily(do func(*nftables.Set, []nftables.SetElement) error, sets [2]*nftables.Set, v4, v6 []nftables.SetElement) error {
	for i, elements := range [2][]nftables.SetElement{v4, v6} {
		if len(elements) == 0 {
			continue
		}
		if err := do(sets[i], elements); err != nil {
			return err
		}
	}
	return nil
}

func (p peer) key() []byte { return append(linkKey(p.link), p.address.AsSlice()...) }

// key of an open port: interface, protocol, port.
func (m portMap) key() []byte {
	return append(linkKey(m.link), m.protocol, 0, 0, 0, byte(m.Port>>8), byte(m.Port), 0, 0)
}

package wire

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
)

// DiffNetworks returns the changes that lead from one whole to another.
func DiffNetworks(from, to NodeNetworks) NodeNetworks {
	d := NodeNetworks{Version: to.Version, Base: from.Version}
	gone := &NetworksGone{Members: map[string][]string{}, Prefixes: map[string][]netip.Prefix{}}
	d.diffNetworks(from, to, gone)
	d.diffSets(from, to, gone)
	before := index(from.Firewalls, firewallKey)
	for _, f := range to.Firewalls {
		if old, ok := before[f.ContainerID]; !ok || !reflect.DeepEqual(old, f) {
			d.Firewalls = append(d.Firewalls, f)
		}
	}
	gone.Firewalls = missing(before, index(to.Firewalls, firewallKey))
	if !gone.empty() {
		d.Gone = gone
	}
	return d
}

func (d *NodeNetworks) diffNetworks(from, to NodeNetworks, gone *NetworksGone) {
	before := index(from.Networks, viewKey)
	for _, n := range to.Networks {
		old, known := before[n.Network.ID]
		if !known {
			d.Networks = append(d.Networks, n)
			continue
		}
		was, is := index(old.Members, memberKey), index(n.Members, memberKey)
		changed := model.NetworkView{Network: n.Network}
		for _, m := range n.Members {
			if same, ok := was[m.ContainerID]; !ok || !reflect.DeepEqual(same, m) {
				changed.Members = append(changed.Members, m)
			}
		}
		if left := missing(was, is); len(left) > 0 {
			gone.Members[n.Network.ID] = left
		}
		if changed.Members != nil || !reflect.DeepEqual(old.Network, n.Network) {
			d.Networks = append(d.Networks, changed)
		}
	}
	gone.Networks = missing(before, index(to.Networks, viewKey))
}

func (d *NodeNetworks) diffSets(from, to NodeNetworks, gone *NetworksGone) {
	before := index(from.Sets, setKey)
	for _, s := range to.Sets {
		old, known := before[s.ID]
		added := model.AddressSet{ID: s.ID, Prefixes: without(s.Prefixes, old.Prefixes)}
		if !known || added.Prefixes != nil {
			d.Sets = append(d.Sets, added)
		}
		if left := without(old.Prefixes, s.Prefixes); left != nil {
			gone.Prefixes[s.ID] = left
		}
	}
	gone.Sets = missing(before, index(to.Sets, setKey))
}

// Apply returns what n is after the changes d, or KindConflict if they are not
// changes of n. A whole d replaces n unless it is older.
func (n NodeNetworks) Apply(d NodeNetworks) (NodeNetworks, error) {
	if d.Version < n.Version && !(d.Force && d.Base == 0) {
		return n, model.Errorf(model.KindConflict, "the node has version %d of its networks, which is newer than %d", n.Version, d.Version)
	}
	if d.Base == 0 {
		if d.Gone != nil {
			return n, model.Errorf(model.KindInvalid, "a whole version of a node's networks has nothing that is gone")
		}
		return NodeNetworks{Version: d.Version, NetworkState: d.NetworkState}, nil
	}
	if d.Version == n.Version {
		return n, nil
	}
	if d.Base != n.Version {
		return n, model.Errorf(model.KindConflict, "the node has version %d of its networks, and the changes are of version %d", n.Version, d.Base)
	}
	gone := d.Gone
	if gone == nil {
		gone = new(NetworksGone)
	}
	networks, sets, firewalls := index(n.Networks, viewKey), index(n.Sets, setKey), index(n.Firewalls, firewallKey)
	drop(networks, gone.Networks)
	for id, containers := range gone.Members {
		if view, ok := networks[id]; ok {
			view.Members = slices.DeleteFunc(slices.Clone(view.Members), func(m model.Member) bool { return slices.Contains(containers, m.ContainerID) })
			networks[id] = view
		}
	}
	for _, view := range d.Networks {
		members := index(networks[view.Network.ID].Members, memberKey)
		merge(members, view.Members, memberKey)
		networks[view.Network.ID] = model.NetworkView{Network: view.Network, Members: ordered(members)}
	}
	drop(sets, gone.Sets)
	for id, prefixes := range gone.Prefixes {
		if s, ok := sets[id]; ok {
			sets[id] = model.AddressSet{ID: id, Prefixes: without(s.Prefixes, prefixes)}
		}
	}
	for _, s := range d.Sets {
		old := sets[s.ID]
		sets[s.ID] = model.AddressSet{ID: s.ID, Prefixes: append(slices.Clone(old.Prefixes), without(s.Prefixes, old.Prefixes)...)}
	}
	drop(firewalls, gone.Firewalls)
	merge(firewalls, d.Firewalls, firewallKey)
	return NodeNetworks{Version: d.Version, NetworkState: model.NetworkState{
		Networks: ordered(networks), Sets: ordered(sets), Firewalls: ordered(firewalls),
	}}, nil
}

func (g *NetworksGone) empty() bool {
	return len(g.Networks)+len(g.Members)+len(g.Sets)+len(g.Prefixes)+len(g.Firewalls) == 0
}

func viewKey(v model.NetworkView) string  { return v.Network.ID }
func memberKey(m model.Member) string     { return m.ContainerID }
func setKey(s model.AddressSet) string    { return s.ID }
func firewallKey(f model.Firewall) string { return f.ContainerID }

func index[T any](list []T, key func(T) string) map[string]T {
	m := make(map[string]T, len(list))
	merge(m, list, key)
	return m
}

func merge[T any](into map[string]T, list []T, key func(T) string) {
	for _, v := range list {
		into[key(v)] = v
	}
}

func drop[T any](from map[string]T, keys []string) {
	for _, k := range keys {
		delete(from, k)
	}
}

// ordered returns the values in the order of their keys.
func ordered[T any](m map[string]T) []T {
	var list []T
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[k])
	}
	return list
}

// missing returns the keys that only the first map has, in order.
func missing[T any](before, after map[string]T) (gone []string) {
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[k]; !ok {
			gone = append(gone, k)
		}
	}
	return gone
}

// without returns the prefixes of list that are not in others.
func without(list, others []netip.Prefix) (left []netip.Prefix) {
	had := make(map[netip.Prefix]bool, len(others))
	for _, p := range others {
		had[p] = true
	}
	for _, p := range list {
		if !had[p] {
			left = append(left, p)
		}
	}
	return left
}

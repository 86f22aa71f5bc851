package networks

import (
	"net"
	"net/netip"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Machines are the addresses of all nodes and heads, in order: what no fabric
// may reach. Where only a name is known, the machine's own network has to do.
func Machines(v *state.View) []netip.Prefix {
	known := map[netip.Addr]bool{}
	add := func(a netip.Addr) {
		if a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() {
			known[a.Unmap()] = true
		}
	}
	addHost := func(host string) {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if a, err := netip.ParseAddr(host); err == nil {
			add(a)
		}
	}
	for _, n := range v.Nodes() {
		add(n.Info.Underlay)
		addHost(n.Address)
	}
	for _, h := range v.Heads() {
		for _, host := range append([]string{h.RaftAddress, h.PeerAddress, h.MetricsAddress}, h.Advertise...) {
			addHost(host)
		}
	}
	var all []netip.Prefix
	for a := range known {
		all = append(all, netip.PrefixFrom(a, a.BitLen()))
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return all
}

// addMachines tells a node that has networks whom they must not reach.
func (a *atlas) addMachines(s *model.NetworkState) {
	if len(s.Networks) > 0 && len(a.machines) > 0 {
		s.Sets = append(s.Sets, model.AddressSet{ID: model.MachinesSet, Prefixes: a.machines})
	}
}

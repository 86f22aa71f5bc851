package networks

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// atlas is what all nodes have to know of networks, kept up to date account by
// account: most changes are of one, and the others need not be read again.
// Its owner calls it from one goroutine.
type atlas struct {
	networks  map[string]*model.Network // rows of the state, by id
	underlays map[string]netip.Addr     // by node
	machines  []netip.Prefix            // of nodes and heads
	parts     map[string]*part          // by account
}

// part is an account's NICs and what its firewall rules say to them.
type part struct {
	version   uint64
	members   map[string][]model.Member   // by network, in the order of ids
	on        map[string]map[string]bool  // node → networks that it has NICs of
	firewalls map[string][]model.Firewall // by node, in the order of ids
	sets      map[string]model.AddressSet // by id
}

func newAtlas() *atlas {
	return &atlas{networks: map[string]*model.Network{}, underlays: map[string]netip.Addr{}, parts: map[string]*part{}}
}

// follow brings the atlas to the state of v and returns the nodes that have to
// know something else now.
func (a *atlas) follow(v *state.View) (changed map[string]bool) {
	changed = map[string]bool{}
	others, everywhere := a.followWires(v)
	known := map[string]bool{}
	for _, account := range v.Accounts() {
		known[account.ID] = true
		version, old := v.AccountVersion(account.ID), a.parts[account.ID]
		if old != nil && old.version == version && !everywhere {
			continue
		}
		fresh := a.read(v, account.ID, version)
		a.parts[account.ID] = fresh
		old.touch(changed)
		fresh.touch(changed)
	}
	for id, p := range a.parts {
		if !known[id] {
			p.touch(changed)
			delete(a.parts, id)
			continue
		}
		for _, network := range others {
			p.touchNetwork(network, changed)
		}
	}
	return changed
}

// touchNetwork notes the nodes on which something of the account is on a
// network.
func (p *part) touchNetwork(id string, nodes map[string]bool) {
	if len(p.members[id]) == 0 {
		return
	}
	for node, networks := range p.on {
		if networks[id] {
			nodes[node] = true
		}
	}
}

func (p *part) touch(nodes map[string]bool) {
	if p == nil {
		return
	}
	for id := range p.on {
		nodes[id] = true
	}
}

// followWires returns the ids of networks that are others than they were, and
// whether the address of a machine is: that is part of what is said of each NIC.
func (a *atlas) followWires(v *state.View) (others []string, everywhere bool) {
	networks, underlays := map[string]*model.Network{}, map[string]netip.Addr{}
	for _, n := range v.Networks() {
		networks[n.ID] = n
	}
	for _, n := range v.Nodes() {
		underlays[n.ID] = n.Info.Underlay
	}
	machines := Machines(v)
	everywhere = !maps.Equal(underlays, a.underlays) || !slices.Equal(machines, a.machines)
	for id, n := range networks {
		if a.networks[id] != n {
			others = append(others, id)
		}
	}
	for id := range a.networks {
		if networks[id] == nil {
			others = append(others, id)
		}
	}
	a.networks, a.underlays, a.machines = networks, underlays, machines
	return others, everywhere
}

// read collects an account's NICs.
func (a *atlas) read(v *state.View, accountID string, version uint64) *part {
	p := &part{version: version, members: map[string][]model.Member{}, on: map[string]map[string]bool{}, firewalls: map[string][]model.Firewall{}, sets: map[string]model.AddressSet{}}
	for _, c := range v.Containers(accountID) {
		for i := range c.NICs {
			nic := &c.NICs[i]
			p.members[nic.NetworkID] = append(p.members[nic.NetworkID], model.Member{
				ContainerID: c.ID, AccountID: c.AccountID, Underlay: a.underlays[c.NodeID], MAC: nic.MAC,
				Address: nic.Address.Addr(), Address6: nic.Address6.Addr(),
				Names: append([]string{c.Name}, nic.Aliases...), Up: c.State.Status.Running(), Services: services(c),
			})
			if p.on[c.NodeID] == nil {
				p.on[c.NodeID] = map[string]bool{}
			}
			p.on[c.NodeID][nic.NetworkID] = true
		}
	}
	if b, ok := v.Builder(accountID); ok {
		p.addBuilder(&b, a.underlays[b.NodeID])
	}
	p.compileRules(v, accountID)
	for _, members := range p.members {
		slices.SortFunc(members, func(a, b model.Member) int { return strings.Compare(a.ContainerID, b.ContainerID) })
	}
	return p
}

// services are those that a container offers now: who is unhealthy offers none.
func services(c *model.Container) []model.Service {
	if c.State.Health != nil && c.State.Health.Status == model.HealthUnhealthy {
		return nil
	}
	return model.ParseServices(c.Spec.Labels[model.LabelServices])
}

// addBuilder adds the steps of the account's builds: they reach its containers.
// Nobody finds them by a name.
func (p *part) addBuilder(b *model.Builder, underlay netip.Addr) {
	for i := range b.NICs {
		nic := &b.NICs[i]
		p.members[nic.NetworkID] = append(p.members[nic.NetworkID], model.Member{
			ContainerID: b.Sandbox(), AccountID: b.AccountID, Underlay: underlay, MAC: nic.MAC,
			Address: nic.Address.Addr(), Address6: nic.Address6.Addr(),
		})
		if p.on[b.NodeID] == nil {
			p.on[b.NodeID] = map[string]bool{}
		}
		p.on[b.NodeID][nic.NetworkID] = true
	}
}

// of is what one node has to know: of each network that it has NICs on, those
// of the accounts that have some there.
func (a *atlas) of(nodeID string) model.NetworkState {
	views := map[string]*model.NetworkView{}
	for _, account := range slices.Sorted(maps.Keys(a.parts)) {
		p := a.parts[account]
		for networkID := range p.on[nodeID] {
			n, ok := a.networks[networkID]
			if !ok {
				continue
			}
			if views[networkID] == nil {
				views[networkID] = &model.NetworkView{Network: *n}
			}
			views[networkID].Members = append(views[networkID].Members, p.members[networkID]...)
		}
	}
	var s model.NetworkState
	for _, id := range slices.Sorted(maps.Keys(views)) {
		s.Networks = append(s.Networks, *views[id])
	}
	for _, account := range slices.Sorted(maps.Keys(a.parts)) {
		a.parts[account].addFirewalls(&s, nodeID)
	}
	a.addMachines(&s)
	return s
}

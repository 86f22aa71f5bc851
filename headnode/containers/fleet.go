package containers

import (
	"math/rand/v2"
	"net/netip"

	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// fleet is the nodes as decisions see them. It follows the state by what has
// changed, for reading ten thousand nodes anew would cost each decision
// milliseconds. Service.placing guards all of it.
type fleet struct {
	nodes *placement.Fleet
	index uint64          // of the state that it follows
	down  map[string]bool // nodes that were not connected when last looked at
	// pending are containers that were decided on and that may not be in the
	// state yet; what they take counts as taken.
	pending map[string]*model.Container
	stale   map[string]bool // nodes whose pending containers are fewer now

	// lastAddress is the last one given on a network.
	lastAddress map[string]netip.Addr
}

func newFleet() fleet {
	return fleet{
		pending: map[string]*model.Container{}, stale: map[string]bool{}, lastAddress: map[string]netip.Addr{},
	}
}

// follow brings the fleet to the state of v.
func (f *fleet) follow(v *state.View, connected func(string) bool) {
	index := v.Index()
	ids, known := v.NodesChanged(f.index)
	if f.nodes == nil || !known || index < f.index {
		f.nodes, f.down = placement.NewFleet(), map[string]bool{}
		ids = ids[:0]
		for _, n := range v.Nodes() {
			ids = append(ids, n.ID)
		}
	}
	for _, id := range ids {
		f.read(v, id, connected)
	}
	for id := range f.stale {
		f.read(v, id, connected)
	}
	clear(f.stale)
	for id := range f.down {
		if connected(id) {
			f.nodes.Connect(id, true)
			delete(f.down, id)
		}
	}
	f.index = index
}

// read takes one node over from the state.
func (f *fleet) read(v *state.View, id string, connected func(string) bool) {
	n, ok := v.Node(id)
	if !ok {
		return
	}
	up := connected(id)
	f.nodes.Set(placement.NewNode(&n, v.Promised(id), v.PromisedTo(id), up))
	delete(f.down, id)
	if !up {
		f.down[id] = true
	}
	for _, c := range f.pending {
		if c.NodeID != id {
			continue
		}
		if held, there := v.Container(c.ID); !there || held.NodeID != id {
			f.nodes.Promise(id, c.Reserved)
		}
	}
}

// look asks again which nodes are connected, and reports whether that has
// changed.
func (f *fleet) look(connected func(string) bool) bool {
	news := false
	for _, id := range f.nodes.IDs() {
		up := connected(id)
		if f.nodes.Connect(id, up) {
			news = true
		}
		delete(f.down, id)
		if !up {
			f.down[id] = true
		}
	}
	return news
}

// chooseTries bounds how often a decision is made anew because other nodes are
// connected than a moment before.
const chooseTries = 4

// choose has placement decide. If the chosen node is not connected any more,
// or before a refusal, all nodes are looked at anew.
func (f *fleet) choose(r placement.Request, connected func(string) bool) (placement.Decision, error) {
	r.Seed = rand.Uint64()
	for try := 1; ; try++ {
		d, err := f.nodes.Decide(r)
		if err == nil && connected(d.NodeID) || try == chooseTries || !f.look(connected) {
			return d, err
		}
	}
}

// decided counts what was promised to c from now on, settled not any more.
func (f *fleet) decided(c *model.Container) {
	f.pending[c.ID] = c
	f.nodes.Promise(c.NodeID, c.Reserved)
}

func (f *fleet) settled(c *model.Container) {
	delete(f.pending, c.ID)
	f.stale[c.NodeID] = true
}

// beside lists an account's containers, the pending ones too.
func (f *fleet) beside(v *state.View, accountID string) []*model.Container {
	all := v.Containers(accountID)
	for _, c := range f.pending {
		if _, there := v.Container(c.ID); !there && c.AccountID == accountID {
			all = append(all, c)
		}
	}
	return all
}

// named reports whether a pending container has the name.
func (f *fleet) named(accountID, name string) bool {
	for _, c := range f.pending {
		if c.AccountID == accountID && c.Name == name {
			return true
		}
	}
	return false
}

// addressed reports whether a pending container has the address.
func (f *fleet) addressed(networkID string, a netip.Addr) bool {
	for _, c := range f.pending {
		for _, nic := range c.NICs {
			if nic.NetworkID == networkID && (nic.Address.Addr() == a || nic.Address6.Addr() == a) {
				return true
			}
		}
	}
	return false
}

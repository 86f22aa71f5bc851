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
	down  map[string]bool // nodes that were not well when last looked at
	// pending are containers that were decided on and that may not be in the
	// state yet; what they take counts as taken.
	pending map[string]*model.Container
	stale   map[string]bool // nodes whose pending containers are fewer now

	// lastAddress is the last one given on a network.
	lastAddress map[string]netip.Addr
	// lastNumber is the last one chosen at heads' addresses, by protocol.
	lastNumber map[string]uint16
}

// sight is how this head sees nodes at a moment.
type sight struct {
	connected func(nodeID string) bool
	storage   func(nodeID string) model.StorageFault
}

// sight is taken of the connections and of what nodes last told.
func (s *Service) sight() sight {
	return sight{s.agents.Connected, func(nodeID string) model.StorageFault {
		if s.load == nil {
			return ""
		}
		load, _ := s.load(nodeID)
		return load.Storage
	}}
}

func (s sight) well(nodeID string) bool { return s.connected(nodeID) && s.storage(nodeID) == "" }

func newFleet() fleet {
	return fleet{
		pending: map[string]*model.Container{}, stale: map[string]bool{}, lastAddress: map[string]netip.Addr{}, lastNumber: map[string]uint16{},
	}
}

// follow brings the fleet to the state of v.
func (f *fleet) follow(v *state.View, see sight) {
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
		f.read(v, id, see)
	}
	for id := range f.stale {
		f.read(v, id, see)
	}
	clear(f.stale)
	for id := range f.down {
		f.lookAt(id, see)
	}
	f.index = index
}

// read takes one node over from the state.
func (f *fleet) read(v *state.View, id string, see sight) {
	n, ok := v.Node(id)
	if !ok {
		return
	}
	f.nodes.Set(placement.NewNode(&n, v.Promised(id), v.PromisedTo(id), true))
	f.lookAt(id, see)
	for _, c := range f.pending {
		if c.NodeID != id {
			continue
		}
		if held, there := v.Container(c.ID); !there || held.NodeID != id {
			f.nodes.Promise(id, c.Reserved)
		}
	}
}

// look asks again how all nodes are, and reports whether that has changed.
func (f *fleet) look(see sight) bool {
	news := false
	for _, id := range f.nodes.IDs() {
		news = f.lookAt(id, see) || news
	}
	return news
}

func (f *fleet) lookAt(id string, see sight) (news bool) {
	news = f.nodes.Connect(id, see.connected(id))
	news = f.nodes.Storage(id, see.storage(id)) || news
	if see.well(id) {
		delete(f.down, id)
	} else {
		f.down[id] = true
	}
	return news
}

// chooseTries bounds how often a decision is made anew because other nodes are
// well than a moment before.
const chooseTries = 4

// choose has placement decide. If the chosen node is not well any more, or
// before a refusal, all nodes are looked at anew.
func (f *fleet) choose(r placement.Request, see sight) (placement.Decision, error) {
	r.Seed = rand.Uint64()
	for try := 1; ; try++ {
		d, err := f.nodes.Decide(r)
		if err == nil && see.well(d.NodeID) || try == chooseTries || !f.look(see) {
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

// decidedAll and settledAll are for those that go to their node together.
func (f *fleet) decidedAll(all []model.Container) {
	for i := range all {
		f.decided(&all[i])
	}
}

func (f *fleet) settledAll(all []model.Container) {
	for i := range all {
		f.settled(&all[i])
	}
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

package placement

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
)

// Fleet is the nodes that decisions choose among. One goroutine at a time may
// use it, also to decide.
type Fleet struct {
	nodes  []vital
	places []affinity.Place // of the nodes
	at     map[string]int32 // places in nodes, by id
	racks  numbers
	zones  numbers
	// kinds numbers the classes of nodes as they are in classes.
	kinds   numbers
	classes []class

	scratch scratch
}

// NewFleet returns a fleet of these nodes.
func NewFleet(nodes ...Node) *Fleet {
	f := &Fleet{nodes: make([]vital, 0, len(nodes)), at: make(map[string]int32, len(nodes))}
	for _, n := range nodes {
		f.Set(n)
	}
	return f
}

// Set adds a node, or replaces the one of its id.
func (f *Fleet) Set(n Node) {
	n.rack, n.zone, n.kind = f.racks.enter(n.place.Rack), f.zones.enter(n.place.Zone), f.kinds.enter(n.class.key())
	if int(n.kind) == len(f.classes) {
		f.classes = append(f.classes, n.class)
	}
	if i, ok := f.at[n.place.ID]; ok {
		f.racks.leave(f.nodes[i].rack)
		f.zones.leave(f.nodes[i].zone)
		f.kinds.leave(f.nodes[i].kind)
		f.nodes[i], f.places[i] = n.vital, n.place
		return
	}
	f.at[n.place.ID] = int32(len(f.nodes))
	f.nodes, f.places = append(f.nodes, n.vital), append(f.places, n.place)
}

// Promise takes a container's needs from what a node has left. Set forgets it.
func (f *Fleet) Promise(nodeID string, need model.Resources) {
	if i, ok := f.at[nodeID]; ok {
		n := &f.nodes[i]
		n.free = n.free.Add(model.Resources{Memory: -need.Memory, CPU: -need.CPU, Disk: -need.Disk})
		n.room--
	}
}

// Connect says whether a head hears from a node. It reports whether that is
// news.
func (f *Fleet) Connect(nodeID string, connected bool) bool {
	i, ok := f.at[nodeID]
	if !ok || f.nodes[i].connected == connected {
		return false
	}
	f.nodes[i].connected = connected
	return true
}

// Storage says how a node's storage does, by what the node last told; Set takes
// it for well. It reports whether that is news.
func (f *Fleet) Storage(nodeID string, fault model.StorageFault) bool {
	i, ok := f.at[nodeID]
	if !ok || f.nodes[i].fault == faultOf(fault) {
		return false
	}
	f.nodes[i].fault = faultOf(fault)
	return true
}

// IDs are those of all nodes.
func (f *Fleet) IDs() []string {
	ids := make([]string, len(f.places))
	for i := range f.places {
		ids[i] = f.places[i].ID
	}
	return ids
}

// numbers gives each text a small number, and knows how many nodes have it.
type numbers struct {
	of    map[string]int32
	nodes []int32 // by number
}

func (n *numbers) enter(s string) int32 {
	i, ok := n.of[s]
	if !ok {
		if n.of == nil {
			n.of = map[string]int32{}
		}
		i = int32(len(n.nodes))
		n.of[s] = i
		n.nodes = append(n.nodes, 0)
	}
	n.nodes[i]++
	return i
}

func (n *numbers) leave(i int32) { n.nodes[i]-- }

// least is the smallest of counts, by number, of those that a node has.
func (n *numbers) least(counts []int32) int32 {
	least := int32(-1)
	for i, c := range counts {
		if n.nodes[i] > 0 && (least < 0 || c < least) {
			least = c
		}
	}
	return max(least, 0)
}

// scratch is memory that decisions use one after the other.
type scratch struct {
	own     []int32 // containers of the account by node
	inRack  []int32 // by number of the rack
	inZone  []int32
	holds   []bool   // the image, by node
	former  []bool   // has an old copy, by node
	totals  []uint64 // of scores, by node
	classes []reason // what refuses each class
	kept    [][]bool // whether a rule is kept, by rule and node
}

// cleared returns s with n zero values, in the same memory if it is enough.
func cleared[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

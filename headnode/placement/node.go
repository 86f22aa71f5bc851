package placement

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
)

// Node is a node at the moment of a decision.
type Node struct {
	vital
	place affinity.Place
	class class
}

// vital is the part of a node that every decision looks at. Those of all nodes
// lie side by side: a line of the cache each.
type vital struct {
	standing    reason // why it takes nobody's containers, or none
	connected   bool
	fault       reason // of its storage, or none
	reservoir   bool
	quota       bool  // holds containers to the size of their disk
	volumeQuota bool  // and volumes
	kind        int32 // numbers that its fleet gives
	rack, zone  int32
	room        int32 // containers that it still takes
	free        model.Resources
	lot         uint64
}

// noBound is the room of a node without a bound of its own.
const noBound = 1 << 30

// NewNode describes a node that has promised some of its resources to
// containers, and that a head hears from or not.
func NewNode(n *model.Node, promised model.Resources, containers int, connected bool) Node {
	node := Node{
		vital: vital{
			connected: connected, reservoir: n.Reservoir, quota: n.Info.DiskQuota, volumeQuota: n.Info.VolumeQuota,
			room: noBound, free: Free(n, promised), lot: lotOf(n.ID),
		},
		place: affinity.Place{ID: n.ID, Name: n.Name, Rack: n.Rack, Zone: n.Zone},
		class: class{
			platform: n.Info.Architecture, storage: n.Info.Storage, tags: n.Info.NICTags, traits: n.Traits, owners: n.Owners, fabrics: n.Info.Underlay.IsValid(),
		},
	}
	if n.MaxContainers > 0 {
		node.room = int32(min(n.MaxContainers-containers, noBound))
	}
	switch {
	case !n.Approved:
		node.standing = notApproved
	case n.Lost:
		node.standing = givenUp
	case n.Cordoned:
		node.standing = cordoned
	}
	return node
}

// Telling is the node with what it last told of its storage.
func (n Node) Telling(f model.StorageFault) Node {
	n.fault = faultOf(f)
	return n
}

// faultOf is the reason that a fault of a node's storage is.
func faultOf(f model.StorageFault) reason {
	switch f {
	case "":
		return none
	case model.StorageFull:
		return fullStorage
	}
	return failingStorage
}

// ID is the node's.
func (n *Node) ID() string { return n.place.ID }

// DiskNeed is what a container takes of n's disk: nothing where the storage
// cannot hold a container to its quota, for there the promise would be empty.
func DiskNeed(n *model.Node, need model.Resources) int64 {
	if !n.Info.DiskQuota {
		return 0
	}
	return need.Disk
}

// Free is what is left of a node's capacity to be promised, by its ratios;
// negative is promised too much.
func Free(n *model.Node, promised model.Resources) model.Resources {
	return model.Resources{
		Memory: left(n.Info.Capacity.Memory, n.Overcommit.Memory, 1, promised.Memory),
		CPU:    left(n.Info.Capacity.CPU, n.Overcommit.CPU, 4, promised.CPU),
		Disk:   left(n.Info.Capacity.Disk, n.Overcommit.Disk, 1, promised.Disk),
	}
}

func left(capacity int64, ratio, usual float64, promised int64) int64 {
	if ratio == 0 {
		ratio = usual
	}
	if ratio == 1 {
		return capacity - promised
	}
	return int64(float64(capacity)*ratio) - promised
}

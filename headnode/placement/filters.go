package placement

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
)

// filters take a node out for good. The order is that of what an operator or
// user would want to hear first: a node that is not there has no memory to
// lack.
var filters = [...]struct {
	reason string
	passes func(n *Node, r *Request) bool
}{
	{"are not approved", func(n *Node, _ *Request) bool { return n.Approved }},
	{"do not hold what the container must share", func(n *Node, r *Request) bool { return r.NodeID == "" || n.ID == r.NodeID }},
	{"are not connected", func(n *Node, _ *Request) bool { return n.Connected }},
	{"are cordoned", func(n *Node, _ *Request) bool { return !n.Cordoned }},
	{"have another platform", func(n *Node, r *Request) bool { return r.Platform == "" || n.Info.Architecture == r.Platform }},
	{"do not hold the image, which is at no registry", func(n *Node, r *Request) bool { return !r.Holders || n.HoldsImage }},
	{"lack a network", func(n *Node, r *Request) bool { return hasAll(n.Info.NICTags, r.NICTags) }},
	{"lack memory", func(n *Node, r *Request) bool { return r.Need.Memory <= Free(n).Memory }},
	{"lack CPU", func(n *Node, r *Request) bool { return r.Need.CPU <= Free(n).CPU }},
	{"lack disk", func(n *Node, r *Request) bool { return DiskNeed(n.Node, r.Need) <= Free(n).Disk }},
}

// DiskNeed is what a container takes of n's disk: nothing where the storage
// cannot hold a container to its quota, for there the promise would be empty.
func DiskNeed(n *model.Node, need model.Resources) int64 {
	if !n.Info.DiskQuota {
		return 0
	}
	return need.Disk
}

// Free is what is left of a node's capacity to be promised, by its ratios.
func Free(n *Node) model.Resources {
	return model.Resources{
		Memory: left(n.Info.Capacity.Memory, n.Overcommit.Memory, 1, n.Promised.Memory),
		CPU:    left(n.Info.Capacity.CPU, n.Overcommit.CPU, 4, n.Promised.CPU),
		Disk:   left(n.Info.Capacity.Disk, n.Overcommit.Disk, 1, n.Promised.Disk),
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

func hasAll(have, want []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

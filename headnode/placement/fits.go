package placement

import "github.com/spearheadcloud/spearhead/model"

// Fits is how many more containers of that size a node takes, by what is left
// of its capacity to be promised and by its own bound, and 0 of one that takes
// nobody's. It does not ask whether the node is connected.
func Fits(n *model.Node, promised model.Resources, containers int, need model.Resources) int {
	node := NewNode(n, promised, containers, true)
	if node.standing != none {
		return 0
	}
	fits := int64(node.room)
	for _, r := range []struct{ free, need int64 }{
		{node.free.Memory, need.Memory}, {node.free.CPU, need.CPU}, {node.free.Disk, DiskNeed(n, need)},
	} {
		if r.need > 0 {
			fits = min(fits, r.free/r.need)
		}
	}
	return int(max(fits, 0))
}

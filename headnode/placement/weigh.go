package placement

import "math/bits"

// score orders nodes that can hold a container: first the node with fewest
// containers of the account, so that one node's loss costs it least; then one
// that holds the image already; then the one with most memory to promise; and
// at last by lot.
type score struct {
	ofAccount int
	image     bool
	free      int64
	lot       uint64
}

// freeGrain is the difference in free memory that is worth a decision; below
// it the lot decides, so that equal nodes fill evenly.
const freeGrain = 64 << 20

func weigh(n *Node, r *Request) score {
	return score{
		ofAccount: n.OfAccount,
		image:     n.HoldsImage,
		free:      Free(n).Memory / freeGrain,
		lot:       draw(r.Seed, n.ID),
	}
}

func (s score) better(o score) bool {
	switch {
	case s.ofAccount != o.ofAccount:
		return s.ofAccount < o.ofAccount
	case s.image != o.image:
		return s.image
	case s.free != o.free:
		return s.free > o.free
	}
	return s.lot < o.lot
}

// draw mixes seed and id into a number that looks random: FNV-1a over the id,
// started at the seed, and one multiply to spread the last byte.
func draw(seed uint64, id string) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 0x100000001b3
	}
	hi, lo := bits.Mul64(h, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

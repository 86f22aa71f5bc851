package placement

import "math/bits"

// Score is what speaks for a node that can have a container. A point of one
// line outweighs all that the lines below it can give; what is equal in all of
// them is decided by lot.
type Score struct {
	Reservoir bool  `json:"reservoir"` // against: such nodes are the last resort
	Apart     int   `json:"apart"`     // wishes with !=~ that it keeps
	Together  int   `json:"together"`  // wishes with ==~ that it keeps
	OnNode    int   `json:"on_node"`   // against: containers of the account on the node, so that its loss costs them least
	InZone    int   `json:"in_zone"`   // against: how many more than in the emptiest zone
	InRack    int   `json:"in_rack"`   // against: the same of racks
	Image     bool  `json:"image"`     // holds the image already
	Memory    int64 `json:"memory"`    // left to promise, in units of MemoryGrain, so that equal nodes fill evenly
}

// The weights of the lines: each is more than those below it can add up to.
const (
	weightMemory = 1
	maxMemory    = 1<<16 - 1
	weightImage  = 1 << 16
	weightInRack = 1 << 17
	weightInZone = 1 << 25
	maxAround    = 1<<8 - 1 // of racks and zones
	weightOnNode = 1 << 33
	maxOnNode    = 1<<12 - 1
	weightNear   = 1 << 45
	weightApart  = 1 << 51 // of wishes there are at most 32 each
	weightUsual  = 1 << 57 // no reservoir
)

// MemoryGrain is the difference in memory that is worth a decision, in bytes:
// the unit of Score.Memory.
const MemoryGrain = 64 << 20

// Total is the sum of all points, each with its weight.
func (s Score) Total() uint64 {
	total := uint64(s.Apart)*weightApart + uint64(s.Together)*weightNear +
		uint64(maxOnNode-min(s.OnNode, maxOnNode))*weightOnNode +
		uint64(maxAround-min(s.InZone, maxAround))*weightInZone +
		uint64(maxAround-min(s.InRack, maxAround))*weightInRack +
		uint64(min(max(s.Memory, 0), maxMemory))*weightMemory
	if s.Image {
		total += weightImage
	}
	if !s.Reservoir {
		total += weightUsual
	}
	return total
}

func (s *scan) score(i int) Score {
	n := &s.nodes[i]
	score := Score{
		Reservoir: n.reservoir, OnNode: int(s.own[i]),
		InZone: int(s.inZone[n.zone] - s.leastZone), InRack: int(s.inRack[n.rack] - s.leastRack),
		Image: s.holds[i], Memory: n.free.Memory / MemoryGrain,
	}
	for k := range s.request.Demands {
		d := &s.request.Demands[k]
		switch {
		case !d.Soft || !s.kept[k][i]:
		case d.Not:
			score.Apart++
		default:
			score.Together++
		}
	}
	return score
}

// lotOf is a node's part of its lot (FNV-1a).
func lotOf(id string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 0x100000001b3
	}
	return h
}

// draw mixes a decision's seed and a node's lot into a number that looks
// random.
func draw(seed, lot uint64) uint64 {
	hi, lo := bits.Mul64((seed^lot)*0xd6e8feb86659fd93+0x632be59bd9b4e019, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

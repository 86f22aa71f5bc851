package placement

import (
	"cmp"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
)

// Node is a node at the moment of a decision.
type Node struct {
	*model.Node
	Connected  bool            // a head hears from it
	Promised   model.Resources // to all containers that are placed on it
	OfAccount  int             // containers of the asking account on it
	HoldsImage bool
}

// Request is what a new container needs.
type Request struct {
	Need     model.Resources
	NICTags  []string // of the external networks that it has a NIC on
	Platform string   // GOARCH of the image
	NodeID   string   // the only node allowed, as for a shared namespace; "" is any
	Holders  bool     // only nodes that hold the image: no registry has it, and no holder can be reached
	Seed     uint64   // breaks ties; the same seed breaks them the same way
}

// Decision is where a container goes and why other nodes were left out.
type Decision struct {
	NodeID     string
	Considered int
	Refused    []Count // by filter, the most frequent first
}

// Count says how many nodes one filter took out.
type Count struct {
	Reason string
	Nodes  int
}

// Decide returns the best node for r, or an error of KindExhausted whose text
// counts the reasons of refusal. nodes is not kept or changed.
func Decide(nodes []Node, r Request) (Decision, error) {
	var counts [len(filters)]int
	best := -1
	var bestScore score
	for i := range nodes {
		n := &nodes[i]
		if f := refusedBy(n, &r); f >= 0 {
			counts[f]++
			continue
		}
		if s := weigh(n, &r); best < 0 || s.better(bestScore) {
			best, bestScore = i, s
		}
	}
	d := Decision{Considered: len(nodes), Refused: tally(&counts)}
	if best < 0 {
		return d, refusal(d)
	}
	d.NodeID = nodes[best].ID
	return d, nil
}

func refusedBy(n *Node, r *Request) int {
	for i := range filters {
		if !filters[i].passes(n, r) {
			return i
		}
	}
	return -1
}

func tally(counts *[len(filters)]int) []Count {
	var out []Count
	for i, c := range counts {
		if c > 0 {
			out = append(out, Count{filters[i].reason, c})
		}
	}
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(b.Nodes, a.Nodes) })
	return out
}

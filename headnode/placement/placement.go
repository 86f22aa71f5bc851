package placement

import (
	"cmp"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
)

// Request is what a new container needs.
type Request struct {
	AccountID string
	Need      model.Resources
	// Count is how many containers it is about, which go to one node together;
	// 0 is one.
	Count int
	// VolumeDisk is the size of the volumes that come to be on the node with
	// it, in bytes; 0 is none, or none with a size.
	VolumeDisk int64
	// HeldDisk asks for a node that holds the container to its disk. Without
	// it, one that cannot will do, and promises none.
	HeldDisk bool
	NICTags  []string // of the external networks that it has a NIC on
	Fabric   bool     // it has a NIC on a fabric
	Traits   []string // the node must have these and no others
	Platform string   // GOARCH of the image; "" is any
	Storage  string   // how the node keeps containers' files; "" is any
	NodeID   string   // the only node allowed, as for a shared namespace; "" is any
	Left     string   // id of the node that it moves away from
	Former   []string // ids of the nodes that have an old copy of it, which is being removed
	Holders  []string // ids of the nodes that hold the image
	// OnlyHolders says that no registry has the image, and that no holder can
	// be reached.
	OnlyHolders bool
	Demands     []affinity.Demand
	// Beside are the account's containers, which it is spread from.
	Beside []*model.Container
	Seed   uint64 // breaks ties; the same seed breaks them the same way
	Best   int    // how many of the best nodes the decision shows
}

// Decision is where a container goes and why other nodes were left out.
type Decision struct {
	NodeID     string
	Considered int
	Refused    []Count     // by reason, the most frequent first
	Best       []Candidate // the best first, as many as were asked for
}

// Count says how many nodes one reason took out.
type Count struct {
	Reason string `json:"reason"`         // one of a few
	Rule   string `json:"rule,omitempty"` // of affinity, if that is the reason
	Nodes  int    `json:"nodes"`
}

// Text is the reason with the rule.
func (c *Count) Text() string {
	if c.Rule == "" {
		return c.Reason
	}
	return c.Reason + " " + c.Rule
}

// Candidate is a node that can have the container.
type Candidate struct {
	NodeID string `json:"node_id"`
	Name   string `json:"name"`
	Score  Score  `json:"score"`
}

// Decide returns the best node for r, or an error of KindExhausted whose text
// counts the reasons of refusal.
func Decide(nodes []Node, r Request) (Decision, error) { return NewFleet(nodes...).Decide(r) }

// Decide returns the best node for r, or an error of KindExhausted whose text
// counts the reasons of refusal.
func (f *Fleet) Decide(r Request) (Decision, error) {
	s := f.scan(&r)
	var best []int // places, the best first
	most := max(r.Best, 1)
	for i := range f.nodes {
		why, rule := s.refuses(i)
		if why != none {
			s.count(why, rule)
			continue
		}
		s.totals[i] = s.score(i).Total()
		if len(best) == most && !s.better(i, best[most-1]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, i, func(b, i int) int {
			if s.better(b, i) {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, i)[:min(len(best)+1, most)]
	}
	d := Decision{Considered: len(f.nodes), Refused: s.tally()}
	if len(best) == 0 {
		return d, refusal(d)
	}
	d.NodeID = f.places[best[0]].ID
	for _, i := range best[:min(r.Best, len(best))] {
		d.Best = append(d.Best, Candidate{NodeID: f.places[i].ID, Name: f.places[i].Name, Score: s.score(i)})
	}
	return d, nil
}

// scan is one decision under way.
type scan struct {
	*scratch
	nodes                []vital
	places               []affinity.Place
	request              *Request
	only                 int32 // the place of the only node allowed, or one of the numbers below
	leastZone, leastRack int32
	counts               [reasons]int
	broken               []int // by rule
}

// What only is where no node is named, or one that is not there.
const (
	anyNode = -1
	noNode  = -2
)

func (f *Fleet) scan(r *Request) *scan {
	m := &f.scratch
	m.own, m.holds = cleared(m.own, len(f.nodes)), cleared(m.holds, len(f.nodes))
	m.inRack, m.inZone = cleared(m.inRack, len(f.racks.nodes)), cleared(m.inZone, len(f.zones.nodes))
	m.former, m.totals = cleared(m.former, len(f.nodes)), cleared(m.totals, len(f.nodes))
	for _, id := range r.Holders {
		if i, ok := f.at[id]; ok {
			m.holds[i] = true
		}
	}
	for _, id := range r.Former {
		if i, ok := f.at[id]; ok {
			m.former[i] = true
		}
	}
	for _, c := range r.Beside {
		if i, ok := f.at[c.NodeID]; ok {
			m.own[i]++
			m.inRack[f.nodes[i].rack]++
			m.inZone[f.nodes[i].zone]++
		}
	}
	m.classes = cleared(m.classes, len(f.classes))
	for i := range f.classes {
		m.classes[i] = f.classes[i].refuses(r)
	}
	f.keep(r)
	only := int32(anyNode)
	if r.NodeID != "" {
		only = noNode
		if i, ok := f.at[r.NodeID]; ok {
			only = i
		}
	}
	return &scan{
		scratch: m, nodes: f.nodes, places: f.places, request: r, only: only, broken: make([]int, len(r.Demands)),
		leastRack: f.racks.least(m.inRack), leastZone: f.zones.least(m.inZone),
	}
}

// keep works out which nodes keep which rules.
func (f *Fleet) keep(r *Request) {
	m := &f.scratch
	for len(m.kept) < len(r.Demands) {
		m.kept = append(m.kept, nil)
	}
	for k := range r.Demands {
		d := &r.Demands[k]
		kept := cleared(m.kept[k], len(f.nodes))
		m.kept[k] = kept
		if d.AboutNodes() {
			for i := range f.nodes {
				kept[i] = d.Keeps(f.places[i])
			}
			continue
		}
		if d.Not {
			for i := range kept {
				kept[i] = true
			}
		}
		for id := range d.Holders() {
			if i, ok := f.at[id]; ok {
				kept[i] = !d.Not
			}
		}
	}
}

// better reports whether the node at a is to be preferred to the one at b.
func (s *scan) better(a, b int) bool {
	if s.totals[a] != s.totals[b] {
		return s.totals[a] > s.totals[b]
	}
	x, y := draw(s.request.Seed, s.nodes[a].lot), draw(s.request.Seed, s.nodes[b].lot)
	if x != y {
		return x < y
	}
	return s.places[a].ID < s.places[b].ID
}

func (s *scan) count(why reason, rule int) {
	if why == brokenRule {
		s.broken[rule]++
		return
	}
	s.counts[why]++
}

func (s *scan) tally() []Count {
	var out []Count
	add := func(why reason, rule string, nodes int) {
		if nodes > 0 {
			out = append(out, Count{reasonTexts[why], rule, nodes})
		}
	}
	for why, nodes := range s.counts {
		add(reason(why), "", nodes)
		if reason(why) == brokenRule {
			for k, nodes := range s.broken {
				add(brokenRule, s.request.Demands[k].Text, nodes)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(b.Nodes, a.Nodes) })
	return out
}

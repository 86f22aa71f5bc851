package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
)

const gib = 1 << 30

// machine is a node before it is flattened.
type machine struct {
	model.Node
	promised   model.Resources
	containers int
	connected  bool
}

func node(name string, change func(*machine)) machine {
	m := machine{Node: model.Node{
		ID: name, Name: name, Approved: true,
		Info: model.NodeInfo{
			Architecture: "amd64", NICTags: []string{"external"}, DiskQuota: true, VolumeQuota: true,
			Capacity: model.Resources{Memory: 8 * gib, CPU: 4000, Disk: 100 * gib},
		},
	}, connected: true}
	if change != nil {
		change(&m)
	}
	return m
}

func flat(machines []machine) []Node {
	nodes := make([]Node, len(machines))
	for i := range machines {
		m := &machines[i]
		nodes[i] = NewNode(&m.Node, m.promised, m.containers, m.connected)
	}
	return nodes
}

// on are containers of the account, one on each of the nodes named.
func on(nodes ...string) []*model.Container {
	all := make([]*model.Container, len(nodes))
	for i, id := range nodes {
		all[i] = &model.Container{ID: fmt.Sprintf("%064x", i), Name: fmt.Sprint("c", i), NodeID: id}
	}
	return all
}

func demands(t interface{ Fatal(...any) }, beside []*model.Container, texts ...string) []affinity.Demand {
	rules, err := affinity.ParseAll(texts)
	if err != nil {
		t.Fatal(err)
	}
	d, err := affinity.Resolve(rules, beside)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecide(t *testing.T) {
	t.Parallel()
	need := model.Resources{Memory: gib, CPU: 1000, Disk: 10 * gib}
	beside := on("a", "a", "b")
	for _, tc := range []struct {
		name  string
		nodes []machine
		r     Request
		want  string // node id, or the text of the refusal
	}{
		{"no nodes", nil, Request{}, "No compute resources available: the data center has no nodes yet; ask the operator to enrol one"},
		{"each reason is counted", []machine{
			node("a", func(n *machine) { n.promised.Memory = 8 * gib }),
			node("b", func(n *machine) { n.promised.Memory = 8 * gib }),
			node("c", func(n *machine) { n.Cordoned = true }),
			node("d", func(n *machine) { n.connected = false }),
			node("e", func(n *machine) { n.Approved = false }),
			node("f", func(n *machine) { n.Info.NICTags = nil }),
			node("g", func(n *machine) { n.Info.Architecture = "arm64" }),
			node("h", func(n *machine) { n.promised.CPU = 16000 }),
			node("i", func(n *machine) { n.promised.Disk = 95 * gib }),
			node("j", func(n *machine) { n.Lost, n.connected = true, false }),
			node("k", func(n *machine) { n.Owners = []string{"jack"} }),
			node("l", func(n *machine) { n.Traits = []string{"ssd"} }),
			node("m", func(n *machine) { n.MaxContainers, n.containers = 2, 2 }),
			node("n", func(n *machine) { n.Rack = "r1" }),
		}, Request{Need: need, NICTags: []string{"external"}, Platform: "amd64", AccountID: "jill", Demands: demands(t, nil, "rack!=r*")},
			"No compute resources available: 14 nodes: 2 lack memory, 1 is not approved, 1 is given up as lost, 1 is not connected, 1 is cordoned, " +
				"1 has another platform, 1 is kept for other accounts, 1 has other traits than those asked for, 1 lacks a network, " +
				"1 is excluded by affinity rack!=r*, 1 has as many containers as they may, 1 lacks CPU, 1 lacks disk"},
		{"memory is not over-committed", []machine{node("a", func(n *machine) { n.promised.Memory = 7*gib + 1 })}, Request{Need: need},
			"No compute resources available: 1 node: 1 lacks memory"},
		{"unless the operator says so", []machine{node("a", func(n *machine) { n.promised.Memory, n.Overcommit.Memory = 8*gib, 1.5 })}, Request{Need: need}, "a"},
		{"CPU is, four times", []machine{node("a", func(n *machine) { n.promised.CPU = 15000 })}, Request{Need: need}, "a"},
		{"what is not needed may be lacking", []machine{node("a", func(n *machine) { n.promised.CPU = 20000 })}, Request{Need: model.Resources{Memory: gib}}, "a"},
		{"disk counts only where it is held", []machine{node("a", func(n *machine) { n.promised.Disk, n.Info.DiskQuota = 100*gib, false })}, Request{Need: need}, "a"},
		{"volumes need a node that holds them to their size", []machine{node("a", func(n *machine) { n.Info.VolumeQuota = false })}, Request{VolumeDisk: 1},
			"No compute resources available: 1 node: 1 cannot hold volumes to a size"},
		{"a disk that must be held", []machine{node("a", func(n *machine) { n.Info.DiskQuota = false }), node("b", nil)}, Request{Need: need, HeldDisk: true, Beside: on("b", "b")}, "b"},
		{"nobody holds it", []machine{node("a", func(n *machine) { n.Info.DiskQuota = false })}, Request{Need: need, HeldDisk: true},
			"No compute resources available: 1 node: 1 cannot hold containers to a disk size"},
		{"what moves leaves its node", []machine{node("a", nil), node("b", nil)}, Request{Need: need, Left: "a", Beside: on("b", "b")}, "b"},
		{"and returns when nothing is left of it", []machine{node("a", nil), node("b", nil), node("c", func(n *machine) { n.Cordoned = true })}, Request{Need: need, Left: "a", Former: []string{"b", "gone"}},
			"No compute resources available: 3 nodes: 1 is where it is now, 1 has an old copy of it that is being removed (try again in a moment), 1 is cordoned"},
		{"nor goes anywhere but where it was sent", []machine{node("a", nil), node("b", func(n *machine) { n.connected = false }), node("c", nil)}, Request{Need: need, Left: "a", NodeID: "b"},
			"No compute resources available: 3 nodes: 1 is where it is now, 1 is not the one that was asked for, 1 is not connected"},
		{"volumes and root share the disk", []machine{node("a", func(n *machine) { n.promised.Disk = 85 * gib })}, Request{Need: need, VolumeDisk: 6 * gib},
			"No compute resources available: 1 node: 1 lacks disk"},
		{"spread before image", []machine{node("a", nil), node("b", nil)}, Request{Need: need, Beside: on("a"), Holders: []string{"a"}}, "b"},
		{"image before memory", []machine{node("a", nil), node("b", func(n *machine) { n.promised.Memory = 4 * gib })}, Request{Need: need, Holders: []string{"b"}}, "b"},
		{"memory before the lot", []machine{node("a", func(n *machine) { n.promised.Memory = gib }), node("b", nil)}, Request{Need: need}, "b"},
		{"a zone without containers before one with", []machine{
			node("a", func(n *machine) { n.Zone = "z1" }), node("b", func(n *machine) { n.Zone = "z1" }), node("c", func(n *machine) { n.Zone, n.promised.Memory = "z2", gib }),
		}, Request{Need: need, Beside: on("a")}, "c"},
		{"a rack without containers before one with", []machine{
			node("a", func(n *machine) { n.Rack = "r1" }), node("b", func(n *machine) { n.Rack = "r1" }), node("c", func(n *machine) { n.Rack, n.promised.Memory = "r2", gib }),
		}, Request{Need: need, Beside: on("a")}, "c"},
		{"a reservoir is the last resort", []machine{node("a", func(n *machine) { n.Reservoir = true }), node("b", nil)}, Request{Need: need, Beside: on("b", "b")}, "b"},
		{"and is one", []machine{node("a", func(n *machine) { n.Reservoir = true }), node("b", func(n *machine) { n.Cordoned = true })}, Request{Need: need}, "a"},
		{"traits that are asked for", []machine{node("a", nil), node("b", func(n *machine) { n.Traits = []string{"ssd", "gpu"} })}, Request{Need: need, Traits: []string{"gpu", "ssd"}}, "b"},
		{"an owner's node", []machine{node("a", func(n *machine) { n.Owners = []string{"jill"} })}, Request{Need: need, AccountID: "jill"}, "a"},
		{"beside", []machine{node("a", nil), node("b", nil)}, Request{Need: need, Beside: beside, Demands: demands(t, beside, "container==c0")}, "a"},
		{"away", []machine{node("a", nil), node("b", nil)}, Request{Need: need, Beside: beside, Demands: demands(t, beside, "container!=c0")}, "b"},
		{"a wish that cannot be kept", []machine{node("a", nil)}, Request{Need: need, Beside: beside, Demands: demands(t, beside, "container!=~c*")}, "a"},
		{"a wish before spread", []machine{node("a", nil), node("b", nil)}, Request{Need: need, Beside: beside, Demands: demands(t, beside, "container==~c1")}, "a"},
		{"a rule before a wish", []machine{node("a", nil), node("b", nil)}, Request{Need: need, Beside: beside, Demands: demands(t, beside, "node==b", "container==~c1")}, "b"},
		{"a wish to be away before one to be together", []machine{node("a", nil), node("b", nil)},
			Request{Need: need, Beside: beside, Demands: demands(t, beside, "container==~c0", "container!=~c1")}, "b"},
		{"pinned", []machine{node("a", nil), node("b", nil)}, Request{Need: need, NodeID: "b", Beside: on("b", "b")}, "b"},
		{"pinned to a full one", []machine{node("a", nil), node("b", func(n *machine) { n.promised.Memory = 8 * gib })}, Request{Need: need, NodeID: "b"},
			"No compute resources available: 2 nodes: 1 does not hold what the container must share, 1 lacks memory"},
		{"an image that no registry has", []machine{node("a", nil), node("b", nil)}, Request{Need: need, OnlyHolders: true, Holders: []string{"c"}},
			"No compute resources available: 2 nodes: 2 do not hold the image, which is at no registry"},
	} {
		d, err := Decide(flat(tc.nodes), tc.r)
		got := d.NodeID
		if err != nil {
			got = model.UserText(err)
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if err != nil && !model.IsKind(err, model.KindExhausted) {
			t.Errorf("%s: kind %s", tc.name, model.KindOf(err))
		}
	}
}

func anyMachine(t *rapid.T, i int) machine {
	return node(fmt.Sprint("n", i), func(n *machine) {
		n.connected = rapid.Bool().Draw(t, "connected")
		n.Cordoned = rapid.Bool().Draw(t, "cordoned")
		n.Reservoir = rapid.Bool().Draw(t, "reservoir")
		n.Rack = rapid.SampledFrom([]string{"", "r1", "r2"}).Draw(t, "rack")
		n.promised.Memory = rapid.Int64Range(0, 8*gib).Draw(t, "promised")
		if rapid.Bool().Draw(t, "bounded") {
			n.MaxContainers, n.containers = 3, rapid.IntRange(0, 3).Draw(t, "containers")
		}
	})
}

// drawn is a data center, what is asked of it, and which of its nodes can have
// it, found out the slow way.
type drawn struct {
	machines []machine
	r        Request
	able     map[string]bool
}

func draws(t *rapid.T) drawn {
	d := drawn{able: map[string]bool{}}
	count := rapid.IntRange(0, 12).Draw(t, "nodes")
	for i := range count {
		d.machines = append(d.machines, anyMachine(t, i))
	}
	var beside []*model.Container
	for i := range rapid.IntRange(0, 8).Draw(t, "containers") {
		if count > 0 {
			beside = append(beside, &model.Container{
				ID: fmt.Sprintf("%064x", i), Name: fmt.Sprint("c", i), NodeID: fmt.Sprint("n", rapid.IntRange(0, count-1).Draw(t, "on")),
				Spec: model.ContainerSpec{Labels: map[string]string{"app": rapid.SampledFrom([]string{"web", "db"}).Draw(t, "app")}},
			})
		}
	}
	texts := rapid.SliceOfN(rapid.SampledFrom([]string{"app!=web", "app!=~db", "app==~web", "container!=c1", "rack!=r1", "rack==~r2", "node!=n0"}), 0, 3).Draw(t, "rules")
	d.r = Request{
		Need: model.Resources{Memory: rapid.Int64Range(0, 4*gib).Draw(t, "need")}, Beside: beside,
		Demands: demands(t, beside, texts...), Seed: rapid.Uint64().Draw(t, "seed"), Best: 20,
	}
	for _, m := range d.machines {
		fits := m.connected && !m.Cordoned && m.promised.Memory+d.r.Need.Memory <= m.Info.Capacity.Memory &&
			(m.MaxContainers == 0 || m.containers < m.MaxContainers)
		for i := range d.r.Demands {
			place := affinity.Place{ID: m.ID, Name: m.Name, Rack: m.Rack, Zone: m.Zone}
			fits = fits && (d.r.Demands[i].Soft || d.r.Demands[i].Keeps(place))
		}
		if fits {
			d.able[m.ID] = true
		}
	}
	return d
}

func TestDecisionHoldsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := draws(t)
		d, err := Decide(flat(in.machines), in.r)
		refused := 0
		for _, c := range d.Refused {
			refused += c.Nodes
		}
		if refused+len(in.able) != len(in.machines) || len(d.Best) != len(in.able) {
			t.Fatalf("%d refused, %d shown and %d able of %d", refused, len(d.Best), len(in.able), len(in.machines))
		}
		if (err == nil) != (len(in.able) > 0) || err == nil && !in.able[d.NodeID] {
			t.Fatalf("chose %q with error %v among %v", d.NodeID, err, in.able)
		}
		for i, c := range d.Best {
			if !in.able[c.NodeID] {
				t.Fatalf("%s is among the best and cannot have it", c.NodeID)
			}
			if i > 0 && d.Best[i-1].Score.Total() < c.Score.Total() {
				t.Fatalf("the best are not in order: %+v", d.Best)
			}
		}
	})
}

// Neither the order of the nodes nor the way by which a fleet came to be as it
// is may change a decision.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := draws(t)
		want, errWant := Decide(flat(in.machines), in.r)
		shuffled := rapid.Permutation(in.machines).Draw(t, "order")
		f := NewFleet()
		for _, m := range shuffled {
			other := m
			other.Rack, other.Cordoned = "elsewhere", true
			f.Set(NewNode(&other.Node, model.Resources{}, 0, !m.connected))
		}
		_, _ = f.Decide(in.r)
		for _, n := range flat(shuffled) {
			f.Set(n)
		}
		got, err := f.Decide(in.r)
		if got.NodeID != want.NodeID || fmt.Sprint(err) != fmt.Sprint(errWant) || !slices.Equal(got.Best, want.Best) {
			t.Fatalf("one order gave %+v, %v, another %+v, %v", want, errWant, got, err)
		}
	})
}

// Each line of a score outweighs all below it.
func TestScoresAreInOrder(t *testing.T) {
	t.Parallel()
	anyScore := rapid.Custom(func(t *rapid.T) Score {
		return Score{
			Reservoir: rapid.Bool().Draw(t, "reservoir"), Apart: rapid.IntRange(0, affinity.MaxRules).Draw(t, "apart"),
			Together: rapid.IntRange(0, affinity.MaxRules).Draw(t, "together"), OnNode: rapid.IntRange(0, maxOnNode).Draw(t, "node"),
			InZone: rapid.IntRange(0, maxAround).Draw(t, "zone"), InRack: rapid.IntRange(0, maxAround).Draw(t, "rack"),
			Image: rapid.Bool().Draw(t, "image"), Memory: rapid.Int64Range(0, maxMemory).Draw(t, "memory"),
		}
	})
	key := func(s Score) []int64 {
		flag := func(b bool) int64 {
			if b {
				return 1
			}
			return 0
		}
		return []int64{-flag(s.Reservoir), int64(s.Apart), int64(s.Together), -int64(s.OnNode), -int64(s.InZone), -int64(s.InRack), flag(s.Image), s.Memory}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyScore.Draw(t, "a"), anyScore.Draw(t, "b")
		want := slices.Compare(key(a), key(b))
		got := 0
		switch {
		case a.Total() < b.Total():
			got = -1
		case a.Total() > b.Total():
			got = 1
		}
		if got != want {
			t.Fatalf("%+v against %+v: totals say %d, the lines %d", a, b, got, want)
		}
	})
}

func TestLotSpreadsOverEqualNodes(t *testing.T) {
	t.Parallel()
	f := NewFleet(flat([]machine{node("a", nil), node("b", nil), node("c", nil)})...)
	got := map[string]int{}
	for seed := range uint64(300) {
		d, err := f.Decide(Request{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		got[d.NodeID]++
	}
	for _, id := range f.IDs() {
		if got[id] < 50 {
			t.Errorf("node %s was drawn %d times of 300", id, got[id])
		}
	}
}

func BenchmarkDecide10000(b *testing.B) {
	machines := make([]machine, 10_000)
	for i := range machines {
		machines[i] = node(fmt.Sprintf("%032x", rand.Uint64()), func(n *machine) {
			n.promised.Memory = int64(i%9) * gib
			n.Rack, n.Zone = fmt.Sprint("r", i%250), fmt.Sprint("z", i%4)
		})
	}
	f := NewFleet(flat(machines)...)
	var ids []string
	for i := range 1000 {
		ids = append(ids, machines[i*7].ID)
	}
	beside := on(ids...)
	need := model.Resources{Memory: gib, CPU: 1000, Disk: gib}
	for name, rules := range map[string][]string{"plain": nil, "with rules": {"container!=c1*", "rack==~r1", "zone!=z3"}} {
		r := Request{Need: need, NICTags: []string{"external"}, Platform: "amd64", Beside: beside, Holders: ids[:2], Demands: demands(b, beside, rules...)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Seed++
				if _, err := f.Decide(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

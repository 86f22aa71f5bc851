package placement

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
)

const gib = 1 << 30

func node(name string, change func(*Node)) Node {
	n := Node{Node: &model.Node{
		ID: name, Name: name, Approved: true,
		Info: model.NodeInfo{Architecture: "amd64", NICTags: []string{"external"}, DiskQuota: true, Capacity: model.Resources{Memory: 8 * gib, CPU: 4000, Disk: 100 * gib}},
	}, Connected: true}
	if change != nil {
		change(&n)
	}
	return n
}

func TestDecide(t *testing.T) {
	t.Parallel()
	need := model.Resources{Memory: gib, CPU: 1000, Disk: 10 * gib}
	for _, tc := range []struct {
		name  string
		nodes []Node
		r     Request
		want  string // node id, or the text of the refusal
	}{
		{"no nodes", nil, Request{}, "No compute resources available: the data center has no nodes yet; ask the operator to enrol one"},
		{"each reason is counted", []Node{
			node("a", func(n *Node) { n.Promised.Memory = 8 * gib }),
			node("b", func(n *Node) { n.Promised.Memory = 8 * gib }),
			node("c", func(n *Node) { n.Cordoned = true }),
			node("d", func(n *Node) { n.Connected = false }),
			node("e", func(n *Node) { n.Approved = false }),
			node("f", func(n *Node) { n.Info.NICTags = nil }),
			node("g", func(n *Node) { n.Info.Architecture = "arm64" }),
			node("h", func(n *Node) { n.Promised.CPU = 16000 }),
			node("i", func(n *Node) { n.Promised.Disk = 95 * gib }),
		}, Request{Need: need, NICTags: []string{"external"}, Platform: "amd64"},
			"No compute resources available: 9 nodes: 2 lack memory, 1 is not approved, 1 is not connected, 1 is cordoned, 1 has another platform, 1 lacks a network, 1 lacks CPU, 1 lacks disk"},
		{"memory is not over-committed", []Node{node("a", func(n *Node) { n.Promised.Memory = 7*gib + 1 })}, Request{Need: need},
			"No compute resources available: 1 node: 1 lacks memory"},
		{"unless the operator says so", []Node{node("a", func(n *Node) { n.Promised.Memory, n.Overcommit.Memory = 8*gib, 1.5 })}, Request{Need: need}, "a"},
		{"CPU is, four times", []Node{node("a", func(n *Node) { n.Promised.CPU = 15000 })}, Request{Need: need}, "a"},
		{"disk counts only where it is held", []Node{node("a", func(n *Node) { n.Promised.Disk, n.Info.DiskQuota = 100*gib, false })}, Request{Need: need}, "a"},
		{"spread before image", []Node{node("a", func(n *Node) { n.OfAccount, n.HoldsImage = 1, true }), node("b", nil)}, Request{Need: need}, "b"},
		{"image before memory", []Node{node("a", nil), node("b", func(n *Node) { n.HoldsImage, n.Promised.Memory = true, 4*gib })}, Request{Need: need}, "b"},
		{"memory before the lot", []Node{node("a", func(n *Node) { n.Promised.Memory = gib }), node("b", nil)}, Request{Need: need}, "b"},
		{"pinned", []Node{node("a", nil), node("b", func(n *Node) { n.OfAccount = 9 })}, Request{Need: need, NodeID: "b"}, "b"},
		{"pinned to a full one", []Node{node("a", nil), node("b", func(n *Node) { n.Promised.Memory = 8 * gib })}, Request{Need: need, NodeID: "b"},
			"No compute resources available: 2 nodes: 1 does not hold what the container must share, 1 lacks memory"},
	} {
		d, err := Decide(tc.nodes, tc.r)
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

func TestDecisionHoldsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 20).Draw(t, "nodes")
		nodes := make([]Node, count)
		for i := range nodes {
			nodes[i] = node(fmt.Sprint("n", i), func(n *Node) {
				n.Connected = rapid.Bool().Draw(t, "connected")
				n.Cordoned = rapid.Bool().Draw(t, "cordoned")
				n.Promised.Memory = rapid.Int64Range(0, 8*gib).Draw(t, "promised")
				n.OfAccount = rapid.IntRange(0, 3).Draw(t, "own")
			})
		}
		r := Request{Need: model.Resources{Memory: rapid.Int64Range(0, 4*gib).Draw(t, "need")}, Seed: rapid.Uint64().Draw(t, "seed")}
		d, err := Decide(nodes, r)
		again, _ := Decide(nodes, r)
		if d.NodeID != again.NodeID {
			t.Fatalf("the same input gave %s and %s", d.NodeID, again.NodeID)
		}
		fits := func(n Node) bool {
			return n.Connected && !n.Cordoned && n.Promised.Memory+r.Need.Memory <= n.Info.Capacity.Memory
		}
		refused := 0
		for _, c := range d.Refused {
			refused += c.Nodes
		}
		able := 0
		for _, n := range nodes {
			if !fits(n) {
				continue
			}
			able++
			for _, chosen := range nodes {
				if chosen.ID == d.NodeID && chosen.OfAccount > n.OfAccount {
					t.Fatalf("chose a node with %d containers of the account, not one with %d", chosen.OfAccount, n.OfAccount)
				}
			}
		}
		if refused+able != count {
			t.Fatalf("%d refused and %d able of %d", refused, able, count)
		}
		if (err == nil) != (able > 0) {
			t.Fatalf("error %v with %d able nodes", err, able)
		}
		for _, n := range nodes {
			if n.ID == d.NodeID && !fits(n) {
				t.Fatalf("chose a node that cannot hold it: %+v", n)
			}
		}
	})
}

func TestLotSpreadsOverEqualNodes(t *testing.T) {
	t.Parallel()
	nodes := []Node{node("a", nil), node("b", nil), node("c", nil)}
	got := map[string]int{}
	for seed := range uint64(300) {
		d, err := Decide(nodes, Request{Seed: seed * 0x9e3779b97f4a7c15})
		if err != nil {
			t.Fatal(err)
		}
		got[d.NodeID]++
	}
	for _, n := range nodes {
		if got[n.ID] < 50 {
			t.Errorf("node %s was drawn %d times of 300", n.ID, got[n.ID])
		}
	}
}

func BenchmarkDecide10000(b *testing.B) {
	nodes := make([]Node, 10_000)
	for i := range nodes {
		nodes[i] = node(fmt.Sprintf("%032x", i), func(n *Node) { n.Promised.Memory = int64(i%9) * gib; n.OfAccount = i % 3 })
	}
	r := Request{Need: model.Resources{Memory: gib, CPU: 1000, Disk: gib}, NICTags: []string{"external"}, Platform: "amd64"}
	b.ReportAllocs()
	for b.Loop() {
		r.Seed++
		if _, err := Decide(nodes, r); err != nil {
			b.Fatal(err)
		}
	}
}

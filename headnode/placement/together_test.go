package placement

import (
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// Containers that go to one node together need all that each of them needs.
func TestTogether(t *testing.T) {
	t.Parallel()
	nodes := flat([]machine{
		node("room for two", func(n *machine) { n.MaxContainers, n.containers = 4, 2 }),
		node("little memory", func(n *machine) { n.promised.Memory = 6 * gib }),
		node("no fabric", func(n *machine) { n.Info.NICTags = append(n.Info.NICTags, "dmz") }),
		node("no dmz", nil),
		node("fits", func(n *machine) { n.Info.NICTags = append(n.Info.NICTags, "dmz") }),
	})
	for i := range nodes {
		nodes[i].class.fabrics = nodes[i].ID() != "no fabric"
	}
	one := Request{Need: model.Resources{Memory: gib}, NICTags: []string{"external"}, Holders: []string{"a", "b"}}
	r := one
	r.Join(&Request{Need: model.Resources{Memory: gib}, NICTags: []string{"dmz"}})
	r.Join(&Request{Need: model.Resources{Memory: gib}, Fabric: true, OnlyHolders: true, Holders: []string{"fits", "no dmz", "little memory"}})
	if d, err := Decide(nodes, r); err != nil || d.NodeID != "fits" {
		t.Errorf("all of them go to %q: %v", d.NodeID, err)
	}
	three := one
	three.Join(&one)
	three.Join(&one)
	for name, want := range map[string]string{
		"room for two":  "No compute resources available: 5 nodes: 4 do not hold what the container must share, 1 has as many containers as they may",
		"little memory": "No compute resources available: 5 nodes: 4 do not hold what the container must share, 1 lacks memory",
	} {
		three.NodeID = name
		if _, err := Decide(nodes, three); err == nil || model.UserText(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

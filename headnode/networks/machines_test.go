package networks_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func TestNodesKnowWhichMachinesAreNotForContainers(t *testing.T) {
	c, jill := furnished(t)
	ours := fabric(t, c, jill, model.Network{Name: "ours"})
	made := create(t, c, jill, on(ours.Name))
	told := func(address string) bool {
		for _, set := range nodeOf(c, &made).Networks().Sets {
			if set.ID == model.MachinesSet {
				return slices.Contains(set.Prefixes, netip.MustParsePrefix(address))
			}
		}
		return false
	}
	head := model.Head{ID: "another", Name: "head-9", RaftAddress: "10.9.0.9:2380", PeerAddress: "10.9.0.9:2381", Advertise: []string{"dc1.example.org", "198.51.100.9"}}
	if _, err := c.Store.Propose(headtest.Context(t), command.PutHead{Head: head}); err != nil {
		t.Fatal(err)
	}
	c.Until("the node knows the head's own network", func() bool { return told("10.9.0.9/32") })
	c.Until("the node knows where users find the head", func() bool { return told("198.51.100.9/32") })
}

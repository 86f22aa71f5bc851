package containers_test

import (
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

// F29, F12: what a node tells of its storage counts from the next decision on.
func TestNodesWhoseStorageFailsGetNothing(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	two, _ := c.Store.View().NodeByName("node-2")
	for _, fault := range []model.StorageFault{model.StorageSilent, model.StorageSuspended, model.StorageFull} {
		c.Tell("node-1", model.NodeLoad{Storage: fault})
		for range 3 {
			if m := create(t, c, a, request("")); m.NodeID != two.ID {
				t.Errorf("storage that %s was chosen", fault)
			}
		}
	}
	c.Tell("node-2", model.NodeLoad{Storage: model.StorageSilent})
	_, _, err := c.Containers.Create(ctx, a, request(""))
	wantKind(t, err, model.KindExhausted, "2 nodes: 1 has storage that fails, 1 has no space left")
	c.Tell("node-1", model.NodeLoad{})
	if m := create(t, c, a, request("")); m.NodeID == two.ID {
		t.Error("after one node has recovered, the other was chosen")
	}
}

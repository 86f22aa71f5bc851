package reconcile_test

import (
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Nobody knows what became of an update whose answer was lost: the next head
// asks the node.
func TestHeadDiesDuringAnUpdate(t *testing.T) {
	t.Parallel()
	for name, carriedOut := range map[string]bool{"before the node did it": false, "after the node did it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := headtest.New(t, 1)
			ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
			if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
				t.Fatal(err)
			}
			m, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Name: "web", Spec: model.ContainerSpec{Image: "busybox"}})
			if err != nil {
				t.Fatal(err)
			}
			agent, want := c.Agent("node-1"), m.Spec.Limits
			agent.FailUpdate(model.Errorf(model.KindUnavailable, "the connection broke"))
			_, err = c.Containers.Update(ctx, a, "web", func(l *model.Limits) error {
				l.Memory, l.MemorySwap = 512<<20, 512<<20
				if carriedOut {
					want = *l
				}
				return nil
			}, nil)
			if !model.IsKind(err, model.KindUnavailable) {
				t.Fatalf("error %v", err)
			}
			got, _ := c.Store.View().Container(m.ID)
			if got.Update == nil || got.Reserved.Memory != 512<<20 {
				t.Fatalf("the reservation is not kept: %+v, %+v", got.Update, got.Reserved)
			}
			agent.FailUpdate(nil)
			if carriedOut {
				if _, err := agent.Update(ctx, m.ID, model.ContainerUpdate{Limits: &want, Operation: got.Update.Operation}); err != nil {
					t.Fatal(err)
				}
			}
			c.Restart()
			c.Until("the update is over", func() bool {
				got, _ := c.Store.View().Container(m.ID)
				return got.Update == nil && got.Spec.Limits.Memory == want.Memory && got.Reserved.Memory == want.Memory
			})
			if spec := agent.Spec(m.ID); spec.Limits.Memory != want.Memory {
				t.Errorf("the node has %+v", spec.Limits)
			}
			n, _ := c.Store.View().Node(m.NodeID)
			if p := c.Store.View().Promised(n.ID); p.Memory != want.Memory {
				t.Errorf("the node has promised %+v", p)
			}
		})
	}
}

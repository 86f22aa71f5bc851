package images_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/model"
)

func TestFullNodesGiveUpWhatOthersHave(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	one, _ := c.Store.View().NodeByName("node-1")
	two, _ := c.Store.View().NodeByName("node-2")
	both, alone := headtest.Image("both"), headtest.Image("alone")
	for _, img := range []model.Image{both, alone} {
		stream, err := c.Agent("node-1").CopyImage(ctx, copyOf(img))
		if err != nil {
			t.Fatal(err)
		}
		stream.Close()
		if _, err := c.Images.Adopt(ctx, a.ID, one.ID, "", func() (model.Image, error) { return img, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Images.Ensure(ctx, a.ID, both, two.ID); err != nil {
		t.Fatal(err)
	}
	free := map[string]int64{one.ID: 10 << 30, two.ID: 900 << 30} // of a TiB
	s := images.New(images.Config{
		Store: c.Store, Agents: c.Nodes, Holders: 1, Logger: slog.New(slog.DiscardHandler),
		Load: func(id string) (model.NodeLoad, bool) {
			return model.NodeLoad{Free: model.Resources{Disk: free[id]}}, true
		},
	})
	spreading, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Spread(spreading) })
	c.Until("the full node was asked", func() bool { return len(c.Agent("node-1").Shed()) > 0 })
	cancel()
	running.Wait()
	if diff := cmp.Diff([]string{both.ID}, c.Agent("node-1").Shed()); diff != "" {
		t.Errorf("what the full node gave up (-want +got):\n%s", diff)
	}
	if shed := c.Agent("node-2").Shed(); len(shed) > 0 {
		t.Errorf("the other node gave up %v", shed)
	}
}

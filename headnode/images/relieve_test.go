package images_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/model"
)

// hold has a node hold an image that the account has.
func hold(t *testing.T, c *headtest.Center, a model.Account, node string, img model.Image) {
	t.Helper()
	ctx := headtest.Context(t)
	stream, err := c.Agent(node).CopyImage(ctx, copyOf(img))
	if err != nil {
		t.Fatal(err)
	}
	stream.Close()
	n, _ := c.Store.View().NodeByName(node)
	if _, err := c.Images.Adopt(ctx, a.ID, n.ID, "", func() (model.Image, error) { return img, nil }); err != nil {
		t.Fatal(err)
	}
}

// spreadUntil has a keeper of images look after nodes that each have so much
// disk left of a TiB, until cond holds.
func spreadUntil(t *testing.T, c *headtest.Center, free func(node string) int64, what string, cond func() bool) {
	t.Helper()
	s := images.New(images.Config{
		Store: c.Store, Agents: c.Nodes, Holders: 1, Logger: slog.New(slog.DiscardHandler),
		Load: func(id string) (model.NodeLoad, bool) {
			return model.NodeLoad{Free: model.Resources{Disk: free(id)}}, true
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Spread(ctx) })
	c.Until(what, cond)
	cancel()
	running.Wait()
}

// Of what two full nodes hold one of them keeps the packed layers.
func TestFullNodesGiveUpWhatOthersKeep(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	two, _ := c.Store.View().NodeByName("node-2")
	alone := headtest.Image("alone")
	hold(t, c, a, "node-1", alone)
	var shared []string
	for i := range 4 {
		img := headtest.Image(fmt.Sprint("shared", i))
		hold(t, c, a, "node-1", img)
		if err := c.Images.Ensure(ctx, a.ID, img, two.ID); err != nil {
			t.Fatal(err)
		}
		shared = append(shared, img.ID)
	}
	given := func() []string { return append(c.Agent("node-1").Shed(), c.Agent("node-2").Shed()...) }
	spreadUntil(t, c, func(string) int64 { return 10 << 30 }, "each image was given up", func() bool { return len(given()) >= len(shared) })
	got := given()
	slices.Sort(got)
	slices.Sort(shared)
	if !slices.Equal(got, shared) {
		t.Errorf("of %v were given up %v: each is to go from one of its nodes", shared, got)
	}
}

// One that has room gives up nothing.
func TestNodesWithRoomGiveUpNothing(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	one, _ := c.Store.View().NodeByName("node-1")
	two, _ := c.Store.View().NodeByName("node-2")
	for i := range 24 { // it keeps some of them, and hardly all
		img := headtest.Image(fmt.Sprint("shared", i))
		hold(t, c, a, "node-1", img)
		if err := c.Images.Ensure(ctx, a.ID, img, two.ID); err != nil {
			t.Fatal(err)
		}
	}
	free := map[string]int64{one.ID: 10 << 30, two.ID: 900 << 30}
	spreadUntil(t, c, func(id string) int64 { return free[id] }, "the full node was asked", func() bool { return len(c.Agent("node-1").Shed()) > 0 })
	if shed := c.Agent("node-2").Shed(); len(shed) > 0 {
		t.Errorf("the other node gave up %v", shed)
	}
}

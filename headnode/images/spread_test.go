package images_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// spread has the leader's loop run until the returned function is called or the
// test ends.
func spread(t *testing.T, c *headtest.Center) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Images.Spread(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// holders are the names of the nodes that hold an image, by the state.
func holders(c *headtest.Center, imageID string) (names []string) {
	v := c.Store.View()
	img, _ := v.Image(imageID)
	for _, id := range img.Holders {
		if n, ok := v.Node(id); ok {
			names = append(names, n.Name)
		}
	}
	return names
}

// really counts the nodes that hold an image, whatever the state says.
func really(t *testing.T, c *headtest.Center, imageID string, nodes ...string) (count int) {
	t.Helper()
	for _, name := range nodes {
		ids, err := c.Agent(name).Images(headtest.Context(t))
		if err == nil && strings.Contains(strings.Join(ids, " "), imageID) {
			count++
		}
	}
	return count
}

// away cuts a node off.
func away(c *headtest.Center, name string) {
	n, _ := c.Store.View().NodeByName(name)
	c.Agent(name).Cut(true)
	c.Until(name+" is away", func() bool { return !c.Nodes.Connected(n.ID) })
}

var threeNodes = []string{"node-1", "node-2", "node-3"}

func TestTwoNodesHoldWhatAnAccountNames(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 3)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	img := headtest.Image("busybox")
	spread(t, c)
	pull(t, c, a, "busybox")
	two := func() bool { return len(holders(c, img.ID)) == 2 && really(t, c, img.ID, threeNodes...) == 2 }
	c.Until("two nodes hold the image", two)

	// One whose disk was replaced holds it no more, and one is removed.
	lost := holders(c, img.ID)[0]
	away(c, lost)
	c.Agent(lost).Wipe()
	c.Agent(lost).Cut(false)
	c.Until("another makes up for a replaced disk", two)
	removed, _ := c.Store.View().NodeByName(holders(c, img.ID)[0])
	c.Propose(command.RemoveNode{ID: removed.ID})
	c.Until("another makes up for a removed node", func() bool { return len(holders(c, img.ID)) == 2 })

	if _, err := c.Images.Remove(ctx, a, "busybox", false); err != nil {
		t.Fatal(err)
	}
	c.Until("nobody holds what nobody names", func() bool { return len(holders(c, img.ID)) == 0 })
	if _, ok := c.Store.View().Image(img.ID); ok {
		t.Error("the state still has the image")
	}
}

func TestCopiesThatFailAreMadeElsewhere(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 3)
	a := c.Account("jill", model.PolicyTenant)
	img := headtest.Image("busybox")
	pull(t, c, a, "busybox")
	first := holders(c, img.ID)[0]
	for _, name := range threeNodes {
		if name != first {
			c.Agent(name).FailCopy(model.Errorf(model.KindUnavailable, "no"))
			break
		}
	}
	stop := spread(t, c)
	c.Until("the third node holds it", func() bool { return really(t, c, img.ID, threeNodes...) == 2 })
	stop()
	for _, name := range threeNodes {
		c.Agent(name).FailCopy(nil)
	}
	// A head that leads anew knows from the state what is lacking.
	c.Restart()
	for _, name := range threeNodes {
		c.Connected(name)
	}
	lost := holders(c, img.ID)[0]
	away(c, lost)
	c.Agent(lost).Wipe()
	c.Agent(lost).Cut(false)
	spread(t, c)
	c.Until("two nodes hold it again", func() bool { return really(t, c, img.ID, threeNodes...) == 2 && len(holders(c, img.ID)) == 2 })
}

func TestNodesTakeAnImageFromItsHolders(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	made := headtest.Image("made")
	v := c.Store.View()
	one, _ := v.NodeByName("node-1")
	two, _ := v.NodeByName("node-2")
	if _, err := c.Images.Adopt(ctx, a.ID, one.ID, "", func() (model.Image, error) { return made, nil }); err != nil {
		t.Fatal(err)
	}
	held, _ := c.Store.View().Image(made.ID)
	stranger := c.Account("jack", model.PolicyTenant)
	if err := c.Images.Ensure(ctx, stranger.ID, held, two.ID); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("another account's image: %v", err)
	}
	away(c, "node-1")
	err := c.Images.Ensure(ctx, a.ID, held, two.ID)
	if !model.IsKind(err, model.KindUnavailable) || !strings.Contains(model.UserText(err), "no node that holds it can be reached") {
		t.Errorf("its only holder is away: %v", err)
	}
	c.Agent("node-1").Cut(false)
	c.Connected("node-1")
	if err := c.Images.Ensure(ctx, a.ID, held, two.ID); err != nil {
		t.Fatal(err)
	}
	if got := holders(c, made.ID); len(got) != 2 {
		t.Errorf("the holders are %v", got)
	}
}

// copyOf asks for a copy from anybody.
func copyOf(img model.Image) wire.CopyRequest {
	return wire.CopyRequest{Image: img, Holders: []wire.Holder{{NodeID: "any"}}}
}

func TestImagesOfAnAccountThatIsGoneAreSweptAway(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	a := c.Account("ann", model.PolicyTenant)
	pull(t, c, a, "busybox")
	spread(t, c)
	id := headtest.Image("busybox").ID
	c.Until("both nodes hold it", func() bool { return really(t, c, id, "node-1", "node-2") == 2 })
	c.Propose(command.RemoveAccount{ID: a.ID})
	c.Until("no node holds it", func() bool { return really(t, c, id, "node-1", "node-2") == 0 })
}

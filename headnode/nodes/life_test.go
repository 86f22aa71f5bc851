package nodes_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/nodes"
	"github.com/spearheadcloud/spearhead/headnode/nodes/nodestest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Every head sees by itself which nodes are there, whoever leads.
func TestEveryHeadSeesWhichNodesLive(t *testing.T) {
	t.Parallel()
	r := headtest.NewRing(t, 3, 2)
	lost, _ := r.Heads[0].Store.View().NodeByName("node-1")
	kept, _ := r.Heads[0].Store.View().NodeByName("node-2")
	r.Agent("node-1").Cut(true)
	for _, h := range r.Heads {
		r.Until("the node is gone for each head", func() bool { return !h.Nodes.Connected(lost.ID) })
		if !h.Nodes.Connected(kept.ID) {
			t.Error("another node is gone, too")
		}
		if _, err := h.Nodes.Agent(lost.ID).Info(t.Context()); !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("error %v", err)
		}
	}
	r.Agent("node-1").Cut(false)
	for _, h := range r.Heads {
		r.Until("it is back for each head", func() bool { return h.Nodes.Connected(lost.ID) })
	}
}

// told is an agent that answers for its life as it is told to.
type told struct {
	*nodestest.Agent
	boot  *atomic.Value // string; "" does not answer
	ended *atomic.Int32 // calls that were given up
}

func (a told) Life(ctx context.Context) (wire.Life, error) {
	if boot := a.boot.Load().(string); boot != "" {
		return wire.Life{Boot: boot}, nil
	}
	<-ctx.Done()
	return wire.Life{}, ctx.Err()
}

func (a told) Abandon() { a.ended.Add(1) }

func watched(t *testing.T) (c *headtest.Center, set *nodes.Set, agent told, nodeID string) {
	t.Helper()
	c = headtest.New(t, 1)
	agent = told{Agent: nodestest.New(), boot: new(atomic.Value), ended: new(atomic.Int32)}
	agent.boot.Store("first")
	set = nodes.New(nodes.Config{Store: c.Store, Logger: c.Logger(), Dial: func(model.Node) wire.Agent { return agent }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); set.Watch(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	n, _ := c.Store.View().NodeByName("node-1")
	c.Until("the node answers", func() bool { return set.Connected(n.ID) })
	return c, set, agent, n.ID
}

func TestSilentNodeIsUnknown(t *testing.T) {
	t.Parallel()
	c, set, agent, id := watched(t)
	agent.boot.Store("") // it hangs
	began := time.Now()
	c.Until("the node is unknown", func() bool { return !set.Connected(id) })
	t.Logf("after %s", time.Since(began).Round(time.Millisecond))
	c.Until("calls that wait for it are given up", func() bool { return agent.ended.Load() > 0 })
	agent.boot.Store("first")
	c.Until("the node is back", func() bool { return set.Connected(id) })
}

func TestTwoAgentsWithOneIdentityAreToldApart(t *testing.T) {
	t.Parallel()
	c, set, agent, id := watched(t)
	again := func(boot string) {
		agent.boot.Store(boot)
		_, seen := set.Seen(id)
		c.Until("the node has answered again", func() bool { _, now := set.Seen(id); return now.After(seen) })
	}
	again("second")
	if set.Doubled(id) {
		t.Error("an agent that was started again counts as two")
	}
	again("first")
	if !set.Doubled(id) {
		t.Error("two agents count as one")
	}
}

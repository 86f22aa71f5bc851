package headtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/networks"
	"github.com/spearheadcloud/spearhead/headnode/nodes"
	"github.com/spearheadcloud/spearhead/headnode/nodes/nodestest"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/headnode/volumes"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// patience bounds every wait of a test; it is no measure of anything.
const patience = 2 * time.Minute

// Center is a data center of one head. Its services are those of the latest
// Restart.
type Center struct {
	t      *testing.T
	log    record
	agents map[string]*nodestest.Agent

	// Dir is where the state lies.
	Dir string

	Store      *raftstore.Store
	heads      *quorum.Store
	Nodes      *nodes.Set
	Images     *images.Service
	Networks   *networks.Service
	Containers *containers.Service
	Volumes    *volumes.Service
	Reconciler *reconcile.Reconciler

	loads sync.Map // model.NodeLoad by the node's id

	stop         func()
	stopClearing func()
}

// New starts a data center with count nodes, the network "external"
// (10.88.0.0/16, default), the packages "small" (default) and "large", and the
// image busybox:latest at the registry. It ends with the test.
func New(t *testing.T, count int) *Center {
	t.Helper()
	c := &Center{t: t, Dir: t.TempDir(), agents: map[string]*nodestest.Agent{}}
	c.start()
	t.Cleanup(func() { c.stop() })
	for i := range count {
		c.AddNode(fmt.Sprintf("node-%d", i+1))
	}
	for _, cmd := range furniture() {
		c.Propose(cmd)
	}
	return c
}

// furniture is what a data center of tests begins with.
func furniture() []command.Command {
	return []command.Command{
		command.PutPackage{Package: model.Package{Name: "small", Memory: 128 << 20, Swap: 128 << 20, CPUShares: 128, Disk: 1 << 30, Active: true, Default: true}},
		command.PutPackage{Package: model.Package{Name: "large", Memory: 1 << 30, Swap: 1 << 30, CPUShares: 1024, CPUCap: 2000, Disk: 8 << 30, Pids: 4096, Active: true}},
		command.PutNetwork{Network: model.Network{
			ID: model.NewID(), Name: "external", Kind: model.NetworkExternal, NICTag: "external", Default: true,
			Subnet: netip.MustParsePrefix("10.88.0.0/16"), Gateway: netip.MustParseAddr("10.88.0.1"),
			First: netip.MustParseAddr("10.88.0.2"), Last: netip.MustParseAddr("10.88.255.254"),
		}},
	}
}

// Context is one that ends when a test has waited too long.
func Context(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Propose commits a command, or fails the test.
func (c *Center) Propose(cmd command.Command) {
	c.t.Helper()
	if _, err := c.Store.Propose(Context(c.t), cmd); err != nil {
		c.t.Fatalf("cannot propose %T: %v", cmd, err)
	}
}

// AddNode registers a node, with what change makes of its description, and
// waits until it is connected.
func (c *Center) AddNode(name string, change ...func(*model.NodeInfo)) *nodestest.Agent {
	c.t.Helper()
	agent := nodestest.New()
	agent.SetInfo(func(i *model.NodeInfo) { i.Hostname = name })
	for _, f := range change {
		agent.SetInfo(f)
	}
	agent.Publish(Busybox, Image("busybox"))
	c.agents[name] = agent
	c.Propose(command.PutNode{Node: model.Node{ID: model.NewID()[:32], Name: name, Address: name + ":1", Approved: true}})
	c.Connected(name)
	return agent
}

// Agent is the node of that name.
func (c *Center) Agent(name string) *nodestest.Agent { return c.agents[name] }

// Tell is what a node tells of how full it is.
func (c *Center) Tell(name string, l model.NodeLoad) {
	c.t.Helper()
	n, ok := c.Store.View().NodeByName(name)
	if !ok {
		c.t.Fatalf("there is no node %s", name)
	}
	c.loads.Store(n.ID, l)
}

// Load is what a node has told last, as the gossip ring knows it.
func (c *Center) Load(nodeID string) (model.NodeLoad, bool) {
	l, ok := c.loads.Load(nodeID)
	if !ok {
		return model.NodeLoad{}, false
	}
	return l.(model.NodeLoad), true
}

// Connected waits until the node is connected.
func (c *Center) Connected(name string) {
	c.t.Helper()
	c.Until("node "+name+" is connected", func() bool {
		n, ok := c.Store.View().NodeByName(name)
		return ok && n.Info.Hostname == name && c.Nodes.Connected(n.ID)
	})
}

// Until waits for a condition.
func (c *Center) Until(what string, cond func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := Context(c.t); !cond(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("waited too long until %s", what)
		}
	}
}

// Account makes an account.
func (c *Center) Account(login string, policy model.Policy) model.Account {
	c.t.Helper()
	a := model.Account{ID: model.NewID()[:32], Login: login, Policy: policy, Created: time.Now().UTC()}
	c.Propose(command.CreateAccount{Account: a})
	return a
}

// Busybox is the normalized reference of the image that every node can pull.
const Busybox = "docker.io/library/busybox:latest"

// Image makes up an image whose ids follow from its name.
func Image(name string) model.Image {
	digit := fmt.Sprintf("%064x", []byte(name))
	return model.Image{
		ID: "sha256:" + digit[len(digit)-64:], Digest: "sha256:" + digit[len(digit)-64:], OS: "linux", Architecture: "amd64",
		Size: 1 << 20, Config: model.ImageConfig{
			Cmd: []string{"sh"}, Env: []string{"PATH=/bin", "LANG=C"}, Labels: map[string]string{"maker": "tests"}, ExposedPorts: []string{"80/tcp"},
		},
	}
}

// Restart stops the head's services and the store, and starts them again on
// the same files, as after a crash of the head.
func (c *Center) Restart() {
	c.t.Helper()
	c.stop()
	c.start()
}

func (c *Center) start() {
	c.t.Helper()
	log := slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := raftstore.Open(c.t.Context(), raftstore.Config{Dir: c.Dir, ID: "head-1", Bind: "127.0.0.1:0", Bootstrap: true, Logger: log})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := store.Ready(Context(c.t)); err != nil {
		c.t.Fatal(err)
	}
	c.Store, c.heads = store, quorum.New(store, nil)
	c.Nodes = nodes.New(nodes.Config{
		Store: store, Logger: log,
		Dial: func(n model.Node) wire.Agent { return c.agents[n.Name] },
		Connected: func(ctx context.Context, conn nodes.Connection) {
			c.Reconciler.Connected(ctx, conn.NodeID, conn.Agent, conn.Drained)
		},
	})
	c.Images = images.New(images.Config{Store: store, Agents: c.Nodes, Load: c.Load, Logger: log})
	c.Networks = networks.New(networks.Config{Store: c.heads, Agents: c.Nodes, Logger: log})
	c.Containers = containers.New(containers.Config{Store: store, Agents: c.Nodes, Images: c.Images, Fabrics: c.Networks, Requests: 128, Load: c.Load, Logger: log})
	c.Volumes = volumes.New(volumes.Config{Store: c.heads, Agents: c.Nodes, Logger: log})
	c.Reconciler = reconcile.New(reconcile.Config{
		Store: c.heads, Agent: c.Nodes.Agent, Working: c.working, Images: c.Images.Settle, Sweep: c.Images.Sweep, Logger: log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { c.Nodes.Watch(ctx) })
	loops.Go(func() { c.Nodes.Follow(ctx) })
	loops.Go(func() { c.Reconciler.Run(ctx) })
	loops.Go(func() { c.Networks.Tell(ctx) })
	var clearing sync.WaitGroup
	clear, cancelClear := context.WithCancel(ctx)
	clearing.Go(func() { c.Volumes.Run(clear) })
	c.stopClearing = func() {
		cancelClear()
		clearing.Wait()
	}
	c.stop = sync.OnceFunc(func() {
		cancel()
		c.stopClearing()
		loops.Wait()
		c.Nodes.Close()
		c.heads.Close()
		if err := store.Close(); err != nil {
			c.t.Errorf("cannot close store: %v", err)
		}
	})
}

// StopClearing lets volumes that were removed, and copies of volumes, stay
// where they are until the next Restart.
func (c *Center) StopClearing() { c.stopClearing() }

// working tells what the head's requests are doing: there are no other heads.
func (c *Center) working(context.Context) (func(id string) bool, error) {
	ids := c.Containers.Working()
	return func(id string) bool { return slices.Contains(ids, id) }, nil
}

package headtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/circle"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/nodes"
	"github.com/spearheadcloud/spearhead/headnode/nodes/nodestest"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// forsake is how long the heads of a Ring wait for one that does not answer.
const forsake = 500 * time.Millisecond

// Ring is a data center of several heads in this process: they agree by raft
// and ask each other in mutual TLS on loopback; the nodes are in memory.
type Ring struct {
	t      testing.TB
	log    record
	ca     *pki.CA
	agents map[string]*nodestest.Agent

	Heads []*Head
}

// Head is one head of a Ring. Its services are those of its latest start.
type Head struct {
	ring     *Ring
	dir      string
	first    bool
	identity *pki.Identity
	self     model.Head

	Store      *raftstore.Store
	Circle     *circle.Circle
	Nodes      *nodes.Set
	Images     *images.Service
	Containers *containers.Service
	Reconciler *reconcile.Reconciler
	builds     builds

	// Ended has the error with which the head ended by itself.
	Ended chan error

	tie *tie

	mu   sync.Mutex
	kill func() // nil while it does not run
}

// NewRing starts heads and nodes, and puts in what New does. It ends with the
// test.
func NewRing(t testing.TB, heads, count int) *Ring {
	t.Helper()
	ca, err := pki.CreateCA("ring", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := &Ring{t: t, ca: ca, agents: map[string]*nodestest.Agent{}}
	t.Cleanup(func() {
		for _, h := range r.Heads {
			h.Kill()
		}
		if t.Failed() {
			path := filepath.Join(os.TempDir(), fmt.Sprintf("ring-%d.log", time.Now().UnixNano()))
			if os.WriteFile(path, []byte(r.log.text.String()), 0o600) == nil {
				t.Log("what the heads have logged is in " + path)
			}
		}
	})
	for i := range heads {
		h := r.newHead(i)
		h.Start()
	}
	for _, h := range r.Heads {
		r.Until(h.self.Name+" has joined", func() bool { return len(h.Store.View().Heads()) == heads })
	}
	r.furnish(count)
	return r
}

func (r *Ring) furnish(count int) {
	r.t.Helper()
	for _, c := range furniture() {
		r.Propose(c)
	}
	for i := range count {
		r.addNode(fmt.Sprintf("node-%d", i+1))
	}
}

func (r *Ring) addNode(name string) {
	r.t.Helper()
	agent := nodestest.New()
	agent.SetInfo(func(i *model.NodeInfo) { i.Hostname = name })
	agent.Publish(Busybox, Image("busybox"))
	r.agents[name] = agent
	id := model.NewID()[:32]
	r.Propose(command.PutNode{Node: model.Node{ID: id, Name: name, Address: name + ":1", Approved: true}})
	for _, h := range r.Heads {
		r.Until(name+" is connected to "+h.self.Name, func() bool { return h.Nodes.Connected(id) })
	}
}

// Agent is the node of that name.
func (r *Ring) Agent(name string) *nodestest.Agent { return r.agents[name] }

// Propose commits a command at any head, or fails the test.
func (r *Ring) Propose(c command.Command) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := r.Up()[0].Circle.Heads.Propose(ctx, c); err != nil {
		r.t.Fatalf("cannot propose %T: %v", c, err)
	}
}

// Account makes an account.
func (r *Ring) Account(login string) model.Account {
	r.t.Helper()
	a := model.Account{ID: model.NewID()[:32], Login: login, Policy: model.PolicyTenant, Created: time.Now().UTC()}
	r.Propose(command.CreateAccount{Account: a})
	return a
}

// Until waits for a condition.
func (r *Ring) Until(what string, cond func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !cond(); {
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("waited too long until %s", what)
		}
	}
}

// Up are the heads that run.
func (r *Ring) Up() []*Head {
	var up []*Head
	for _, h := range r.Heads {
		if h.runs() {
			up = append(up, h)
		}
	}
	return up
}

// Leader waits for a head that leads.
func (r *Ring) Leader() *Head {
	r.t.Helper()
	var leader *Head
	r.Until("a head leads", func() bool {
		for _, h := range r.Up() {
			if h.Circle.Leads() {
				leader = h
			}
		}
		return leader != nil
	})
	return leader
}

// Followers are the running heads that do not lead.
func (r *Ring) Followers() []*Head {
	r.t.Helper()
	leader := r.Leader()
	var all []*Head
	for _, h := range r.Up() {
		if h != leader {
			all = append(all, h)
		}
	}
	return all
}

func (r *Ring) newHead(i int) *Head {
	r.t.Helper()
	id := fmt.Sprintf("head-%d", i+1)
	key, csr, err := pki.NewRequest()
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := r.ca.Sign(csr, pki.RoleHead, id, []string{"127.0.0.1"}, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	identity, err := pki.NewIdentity(key, cert, r.ca.Certificate())
	if err != nil {
		r.t.Fatal(err)
	}
	h := &Head{
		ring: r, dir: r.t.TempDir(), first: i == 0, identity: identity,
		self: model.Head{ID: id, Name: id, RaftAddress: testaddr.Free(r.t), PeerAddress: testaddr.Free(r.t), Version: model.HeadVersion("test", command.Level)},
	}
	r.Heads = append(r.Heads, h)
	return h
}

// Kill ends the head as a crash of its process does: it hands nothing over, and
// what its requests go on to do reaches no node.
func (h *Head) Kill() {
	h.mu.Lock()
	kill := h.kill
	h.kill = nil
	h.mu.Unlock()
	if kill != nil {
		kill()
	}
}

func (h *Head) runs() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kill != nil
}

// Start runs the head on the files that it has.
func (h *Head) Start() {
	h.ring.t.Helper()
	if err := h.TryStart(); err != nil {
		h.ring.t.Fatal(err)
	}
}

// TryStart is Start for a head that may refuse.
func (h *Head) TryStart() error {
	t := h.ring.t
	t.Helper()
	log := slog.New(slog.NewTextHandler(&h.ring.log, &slog.HandlerOptions{Level: slog.LevelDebug})).With("head", h.self.ID)
	store, err := raftstore.Open(context.Background(), raftstore.Config{
		Dir: h.dir, ID: h.self.ID, Bind: h.self.RaftAddress, Identity: h.identity, Bootstrap: h.first, Logger: log,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", h.self.PeerAddress)
	if err != nil {
		t.Fatal(err)
	}
	h.Store, h.tie, h.Ended = store, &tie{}, make(chan error, 1)
	h.Circle = circle.New(circle.Config{
		ID: h.self.ID, Version: h.self.Version, Store: store, Logger: log, Forsake: forsake,
		TLS: func(id string) *tls.Config { return h.identity.ClientTLS(pki.RoleHead, id) },
	})
	h.assemble(log)
	server := &http.Server{Handler: h.Circle.Handler(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	ctx, cancel := context.WithCancel(context.Background())
	seeds := []string{h.ring.Heads[0].self.PeerAddress}
	var loops sync.WaitGroup
	loops.Go(func() { server.Serve(tls.NewListener(l, h.identity.ServerTLS(pki.RoleHead))) })
	loops.Go(func() { h.Nodes.Watch(ctx) })
	loops.Go(func() { h.lead(ctx) })
	loops.Go(func() {
		if err := h.Circle.Announce(ctx, h.self, seeds); err != nil {
			h.Ended <- err
		}
	})
	kill := func() {
		h.tie.cut()
		server.Close()
		cancel()
		h.Circle.Close()
		store.Close() // a crash asks nobody
		loops.Wait()
		h.Nodes.Close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kill = kill
	return nil
}

func (h *Head) assemble(log *slog.Logger) {
	heads := h.Circle.Heads
	h.Nodes = nodes.New(nodes.Config{
		Store: h.Store, Logger: log,
		Dial: func(n model.Node) wire.Agent { return tied{h.ring.agents[n.Name], h.tie} },
		Connected: func(ctx context.Context, conn nodes.Connection) {
			h.Reconciler.Connected(ctx, conn.NodeID, conn.Agent, conn.Drained)
		},
	})
	h.Images = images.New(images.Config{Store: heads, Agents: h.Nodes, Leads: h.Circle.Leads, Others: h.Circle.HoldOthers, Logger: log})
	h.Containers = containers.New(containers.Config{
		Store: heads, Decisions: h.Store, Reserver: h.Circle.Reserver(), Agents: h.Nodes, Images: h.Images, Requests: 128, Logger: log,
	})
	h.Reconciler = reconcile.New(reconcile.Config{
		Store: h.Store, Agent: h.Nodes.Agent, Working: h.Circle.WorkedOn,
		Images: h.Images.Settle, Sweep: h.Images.Sweep, Interval: time.Second, Logger: log,
	})
	h.Circle.Use(circle.UseCases{Containers: h.Containers, Images: h.Images, Builds: &h.builds, Reconciler: h.Reconciler})
}

// builds notes which builds were to be ended.
type builds struct {
	mu    sync.Mutex
	ended []string
}

func (b *builds) CancelBuild(_ context.Context, a model.Account, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = append(b.ended, a.ID+" "+id)
	return nil
}

// EndedBuilds are the builds that this head was told to end: the account's id, a
// space and the build's.
func (h *Head) EndedBuilds() []string {
	h.builds.mu.Lock()
	defer h.builds.mu.Unlock()
	return slices.Clone(h.builds.ended)
}

// lead runs what only a leader does, as package headnode does.
func (h *Head) lead(ctx context.Context) {
	end := func() {}
	defer func() { end() }()
	for {
		select {
		case leads := <-h.Store.LeadershipChanges():
			end()
			end = func() {}
			if leads {
				end = h.term(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *Head) term(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var loops sync.WaitGroup
	loops.Go(func() {
		if h.Store.Barrier(ctx) != nil {
			return
		}
		defer h.Circle.Lead()()
		loops.Go(func() { h.Nodes.Follow(ctx) })
		loops.Go(func() { h.Reconciler.Run(ctx) })
		loops.Go(func() { h.Images.Spread(ctx) })
		<-ctx.Done()
	})
	return func() {
		cancel()
		loops.Wait()
	}
}

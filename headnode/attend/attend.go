package attend

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	// interval is between two rounds, and callTimeout bounds a call in one.
	interval    = 4 * time.Second
	callTimeout = 3 * time.Second
	// margin is for how much longer than a node's own deadline the leader
	// waits: for the containers to end (ten seconds, then SIGKILL), and for
	// systemd to start an agent again that hangs.
	margin = time.Minute
	// atOnce bounds the calls that are under way.
	atOnce = 128
)

// Store is what attending needs of the replicated store. Proposals, VerifyLeader
// and Barrier, which also waits for all proposals before it, fail when this
// head does not lead.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	VerifyLeader(ctx context.Context) error
	Barrier(ctx context.Context) error
}

// Containers moves containers to other nodes.
type Containers interface {
	Move(ctx context.Context, id string) error
	Remake(ctx context.Context, id string) error
}

// Config is what an Attendant stands on.
type Config struct {
	Store      Store
	Agent      func(nodeID string) wire.Agent
	Containers Containers
	CA         *pki.CA
	Logger     *slog.Logger
	// Interval and Margin are for tests; 0 is the usual.
	Interval, Margin time.Duration
}

// Attendant attends to the nodes. It is safe for concurrent use.
type Attendant struct {
	Config

	mu    sync.Mutex
	nodes map[string]*attended // of the term that runs, by id
	busy  map[string]bool      // containers that are being made on their new node
	began time.Time            // of the term

	complaints map[string]string // why containers cannot move, by id; Run's own
}

// attended is a node in the course of a term.
type attended struct {
	mark     string      // of its latest answer, "" if that may not be sent back
	held     []wire.Held // and what it held then
	answered time.Time   // when it came
	// condemned says that what it holds is being given to others. Then there is
	// no lease before it holds nothing that was given away.
	condemned bool
}

// New returns an Attendant.
func New(c Config) *Attendant {
	c.Interval, c.Margin = cmp.Or(c.Interval, interval), cmp.Or(c.Margin, margin)
	return &Attendant{Config: c}
}

// Run attends to the nodes until ctx ends. Only the leader may call it, once at
// a time, after it has applied all that was agreed on before it led.
func (a *Attendant) Run(ctx context.Context) {
	a.mu.Lock()
	a.nodes, a.busy, a.began = map[string]*attended{}, map[string]bool{}, time.Now()
	a.mu.Unlock()
	a.complaints = map[string]string{}
	var making sync.WaitGroup
	defer making.Wait()
	tick := time.NewTicker(a.Interval)
	defer tick.Stop()
	for {
		began := time.Now()
		a.round(ctx)
		a.lost(ctx, began)
		a.rescue(ctx)
		a.remake(ctx, &making)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// round calls every node once. What they answer is used in the next round,
// after this head has made sure again that it leads.
func (a *Attendant) round(ctx context.Context) {
	verified := a.verify(ctx)
	v := a.Store.View()
	news := newsOf(v)
	places := make(chan struct{}, atOnce)
	var calling sync.WaitGroup
	for _, n := range v.Nodes() {
		if !n.Approved || n.Address == "" {
			continue
		}
		places <- struct{}{}
		calling.Go(func() {
			defer func() { <-places }()
			a.call(ctx, v, n, news, verified)
		})
	}
	calling.Wait()
}

// verify makes sure that this head leads. While something is being given to
// others, it also makes sure that the state shows all of that.
func (a *Attendant) verify(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	check := a.Store.VerifyLeader
	if a.giving() {
		check = a.Store.Barrier
	}
	err := check(ctx)
	if err != nil && ctx.Err() == nil {
		a.Logger.Warn("no leases are given: the heads do not confirm that this one leads", slog.Any("err", err))
	}
	return err == nil
}

// giving reports whether containers of a node are being given to others.
func (a *Attendant) giving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.nodes {
		if n.condemned {
			return true
		}
	}
	return false
}

// of is what is known of a node in this term. The caller holds mu.
func (a *Attendant) of(nodeID string) *attended {
	n := a.nodes[nodeID]
	if n == nil {
		n = &attended{}
		a.nodes[nodeID] = n
	}
	return n
}

// call attends to one node. v is from after the verification.
func (a *Attendant) call(ctx context.Context, v *state.View, n *model.Node, news news, verified bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	attention := wire.Attention{Mark: a.lease(v, n, verified)}
	agent := a.Agent(n.ID)
	standing, err := agent.Attend(ctx, attention)
	if err != nil {
		return // silence is what is counted
	}
	a.mu.Lock()
	known := a.of(n.ID)
	known.answered, known.held, known.mark = time.Now(), standing.Held, ""
	if standing.StopAfter == n.Info.StopAfter {
		known.mark = standing.Mark
	}
	a.mu.Unlock()
	a.take(ctx, n, agent, standing.Held)
	a.tell(ctx, n, agent, standing, news)
}

// lease is the mark that renews a node's lease, or "".
func (a *Attendant) lease(v *state.View, n *model.Node, verified bool) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.of(n.ID)
	if !verified || n.Lost || known.mark == "" || len(elsewhere(v, n.ID, known.held)) > 0 {
		return ""
	}
	known.condemned = false
	return known.mark
}

// elsewhere picks of what a node holds that which is another's by now. What the
// state does not know at all is for people to judge.
func elsewhere(v *state.View, nodeID string, held []wire.Held) (others []wire.Held) {
	for _, h := range held {
		if c, there := v.Container(h.ID); there && (c.NodeID != nodeID || c.Generation != h.Generation) {
			others = append(others, h)
		}
	}
	return others
}

// take removes from a node what is another's by now.
func (a *Attendant) take(ctx context.Context, n *model.Node, agent wire.Agent, held []wire.Held) {
	for _, other := range elsewhere(a.Store.View(), n.ID, held) {
		log := a.Logger.With(slog.String("node", n.ID), slog.String("container", other.ID))
		if _, err := agent.Remove(ctx, other.ID, wire.RemoveRequest{Force: true, Generation: &other.Generation}); err != nil {
			log.Warn("cannot remove a container yet that was started on another node", slog.Any("err", err))
			continue
		}
		log.Info("removed a container that was started on another node meanwhile")
	}
}

// tell sends what the node lacks, in a call of its own.
func (a *Attendant) tell(ctx context.Context, n *model.Node, agent wire.Agent, s wire.Standing, news news) {
	var attention wire.Attention
	if s.Gone != news.gone.Version {
		attention.Gone = &news.gone
	}
	if s.Keyring != news.keyring.Version && news.keyring.Version > 0 {
		attention.Keyring = &news.keyring
	}
	log := a.Logger.With(slog.String("node", n.ID))
	if len(s.Request) > 0 {
		cert, err := a.certificate(n, s.Request)
		if err != nil {
			log.Error("cannot renew the node's certificate", slog.Any("err", err))
		} else {
			attention.Certificate = cert
		}
	}
	if attention.Gone == nil && attention.Keyring == nil && attention.Certificate == nil {
		return
	}
	if _, err := agent.Attend(ctx, attention); err != nil && ctx.Err() == nil {
		log.Warn("cannot tell the node what is new", slog.Any("err", err))
	}
}

package reconcile

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	sweepInterval = 10 * time.Second
	callTimeout   = 30 * time.Second
)

// Store is what reconciliation needs of the replicated store. Its Propose must
// fail when this head does not lead any more: what is decided here rests on
// what the leader knows.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
}

// Config is what a Reconciler stands on.
type Config struct {
	Store Store
	// Agent is the node's agent, also of a node that is not connected.
	Agent func(nodeID string) wire.Agent
	// Working asks all heads what their requests are creating or updating at
	// this moment, so that Store shows what they had seen, and returns what
	// tells whether an id is among it.
	Working func(ctx context.Context) (func(id string) bool, error)
	// Images makes the state agree with the images that a node holds.
	Images func(ctx context.Context, nodeID string) error
	// Sweep makes nodes forget images that nobody needs, as far as it can be
	// done now.
	Sweep func(ctx context.Context)
	// Interval is between two looks at what may be abandoned; 0 is ten seconds.
	Interval time.Duration
	Logger   *slog.Logger
}

// Reconciler is safe for concurrent use.
type Reconciler struct {
	Config

	mu       sync.Mutex
	findings map[string]Findings // by node id
}

// Findings are what reconciliation saw on a node and what is for people to
// settle.
type Findings struct {
	Orphans []string `json:"orphans,omitempty"` // containers on the node that the state does not know
	Missing []string `json:"missing,omitempty"` // dead containers of the state that the node has lost
}

// New returns a Reconciler.
func New(c Config) *Reconciler { return &Reconciler{Config: c, findings: map[string]Findings{}} }

// Findings returns what was last found on a node, without the lost containers
// that have been removed since.
func (r *Reconciler) Findings(nodeID string) Findings {
	r.mu.Lock()
	found := r.findings[nodeID]
	r.mu.Unlock()
	v := r.Store.View()
	found.Missing = slices.DeleteFunc(slices.Clone(found.Missing), func(id string) bool {
		_, there := v.Container(id)
		return !there
	})
	return found
}

// All returns the findings on all nodes where there are any, by the node's id.
func (r *Reconciler) All() map[string]Findings {
	all := map[string]Findings{}
	for _, n := range r.Store.View().Nodes() {
		if found := r.Findings(n.ID); len(found.Orphans)+len(found.Missing) > 0 {
			all[n.ID] = found
		}
	}
	return all
}

// Run undoes, until ctx ends, reservations and updates that nobody works on,
// and does what an earlier sweep of images could not. It begins after a pause:
// what a new leader finds is settled with each node when the node's journal is
// there, which may tell the end of it. Only the leader may call it, once at a
// time.
func (r *Reconciler) Run(ctx context.Context) {
	tick := time.NewTicker(cmp.Or(r.Interval, sweepInterval))
	defer tick.Stop()
	for {
		r.Sweep(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		r.reservations(ctx, reserved)
		r.updates(ctx, updated)
	}
}

// reservations discards those that are abandoned. Nodes that cannot be asked
// are asked again later.
func (r *Reconciler) reservations(ctx context.Context, begun beginning) {
	for _, c := range r.abandoned(ctx, begun) {
		if err := r.discard(ctx, c.NodeID, c.ID); err != nil && ctx.Err() == nil {
			r.Logger.Warn("cannot undo interrupted creation yet", slog.String("container", c.ID), slog.String("node", c.NodeID), slog.Any("err", err))
		}
	}
}

func (r *Reconciler) discard(ctx context.Context, nodeID, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := containers.Discard(ctx, r.Store, r.Agent(nodeID), id, "its creation was interrupted")
	if err == nil {
		r.Logger.Info("undid interrupted creation", slog.String("container", id), slog.String("node", nodeID))
	}
	return err
}

// Connected settles a node that has just connected. drained waits until what
// the node has journaled so far is in the state.
func (r *Reconciler) Connected(ctx context.Context, nodeID string, agent wire.Agent, drained func(context.Context) error) {
	log := r.Logger.With(slog.String("node", nodeID))
	if err := r.settle(ctx, nodeID, agent, drained, log); err != nil && ctx.Err() == nil {
		log.Warn("cannot reconcile node", slog.Any("err", err))
	}
	if err := r.Images(ctx, nodeID); err != nil && ctx.Err() == nil {
		log.Warn("cannot reconcile images of node", slog.Any("err", err))
	}
}

func (r *Reconciler) settle(ctx context.Context, nodeID string, agent wire.Agent, drained func(context.Context) error, log *slog.Logger) error {
	expected := created(r.Store.View(), nodeID)
	records, err := agent.Containers(ctx)
	if err != nil {
		return err
	}
	if err := drained(ctx); err != nil {
		return err
	}
	r.reservations(ctx, reserved.on(nodeID))
	r.updates(ctx, updated.on(nodeID))
	v := r.Store.View()
	again, err := agent.Containers(ctx)
	if err != nil {
		return err
	}
	working, err := r.Working(ctx)
	if err != nil {
		return err
	}
	found := Findings{
		Orphans: r.orphans(ctx, v, nodeID, stayed(records, again), working, log),
		Missing: missing(v, expected, slices.Concat(records, again)),
	}
	r.mu.Lock()
	r.findings[nodeID] = found
	r.mu.Unlock()
	if err := r.find(ctx, v, nodeID, again, log); err != nil {
		return err
	}
	return r.lose(ctx, v, found.Missing, log)
}

// find takes back that containers are dead which their node has after all: an
// operator had given the node up, or its disk was not wiped.
func (r *Reconciler) find(ctx context.Context, v *state.View, nodeID string, records []wire.ContainerRecord, log *slog.Logger) error {
	for _, rec := range records {
		c, ok := v.Container(rec.ID)
		if !ok || c.NodeID != nodeID || c.Move != nil || c.State.Status != model.StatusDead || rec.State.Status == model.StatusDead {
			continue
		}
		log.Info("the node has a container that counted as dead", slog.String("container", rec.ID))
		if _, err := r.Store.Propose(ctx, command.FindContainer{ID: rec.ID, NodeID: nodeID, State: rec.State}); err != nil {
			return err
		}
	}
	return nil
}

// lossReason is what the owner of a lost container reads.
const lossReason = "the container's node has lost it and its files; remove it and create it again"

// lose declares containers dead that their node does not have.
func (r *Reconciler) lose(ctx context.Context, v *state.View, missing []string, log *slog.Logger) error {
	for _, id := range missing {
		if c, ok := v.Container(id); ok && c.State.Status == model.StatusDead {
			continue
		}
		log.Error("the node does not have a container that the data center knows; it counts as dead", slog.String("container", id))
		if _, err := r.Store.Propose(ctx, command.LoseContainer{ID: id, Reason: lossReason, Time: time.Now().UTC()}); err != nil {
			return err
		}
	}
	return nil
}

// stayed keeps the records of before that are there again: what the user
// removed in between is no orphan.
func stayed(before, again []wire.ContainerRecord) []wire.ContainerRecord {
	return slices.DeleteFunc(slices.Clone(again), func(r wire.ContainerRecord) bool {
		return !slices.ContainsFunc(before, func(b wire.ContainerRecord) bool { return b.ID == r.ID })
	})
}

// created lists the containers that exist on a node, by the state.
func created(v *state.View, nodeID string) []string {
	var ids []string
	for _, c := range v.ContainersOnNode(nodeID) {
		if c.Phase == model.PhaseCreated && c.Move == nil { // else it is on its way there
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// missing lists those that the state expected before the node was asked, that
// the node did not have either time, and that have not been removed since.
func missing(v *state.View, expected []string, records []wire.ContainerRecord) []string {
	var ids []string
	for _, id := range expected {
		has := slices.ContainsFunc(records, func(r wire.ContainerRecord) bool { return r.ID == id })
		if _, there := v.Container(id); there && !has {
			ids = append(ids, id)
		}
	}
	return ids
}

// orphans lists containers that only the node knows. One that never ran is
// what an interrupted creation left, or a move that came to nothing, and one
// that departs is the old copy of what moved, and was removed at its new node:
// these are removed. Any other is an operator's to judge.
func (r *Reconciler) orphans(ctx context.Context, v *state.View, nodeID string, records []wire.ContainerRecord, working func(string) bool, log *slog.Logger) []string {
	var ids []string
	for _, rec := range records {
		if _, known := v.Container(rec.ID); known || working(rec.ID) {
			continue
		}
		if rec.State.Status == model.StatusCreated || rec.Departing {
			if err := r.discard(ctx, nodeID, rec.ID); err == nil {
				continue
			}
		}
		log.Error("the node has a container that the data center does not know", slog.String("container", rec.ID), slog.String("account", rec.AccountID))
		ids = append(ids, rec.ID)
	}
	return ids
}

package attend

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// lossReason is what the owner of a container reads whose node is lost.
const lossReason = "the container's node is lost, and its files with it; remove it and create it again"

// lost carries an operator's word out that nodes do not come back: what cannot
// be started elsewhere is dead. A node that has answered in this round is there
// against that word, and what it runs is not dead.
func (a *Attendant) lost(ctx context.Context, round time.Time) {
	v := a.Store.View()
	for _, n := range v.Nodes() {
		if !n.Lost || a.answered(n.ID).After(round) {
			continue
		}
		for _, c := range v.ContainersOnNode(n.ID) {
			var step command.Command = command.LoseContainer{ID: c.ID, Reason: lossReason, Time: time.Now().UTC()}
			switch {
			case c.Phase == model.PhaseReserved:
				step = command.ReleaseContainer{ID: c.ID, Reason: lossReason}
			case c.State.Status == model.StatusDead || containers.Movable(c) == nil:
				continue
			}
			if _, err := a.Store.Propose(ctx, step); err != nil && ctx.Err() == nil {
				a.Logger.Warn("cannot record that a container is lost yet", slog.String("container", c.ID), slog.String("node", n.ID), slog.Any("err", err))
			}
		}
	}
}

// answered is when a node answered last in this term.
func (a *Attendant) answered(nodeID string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of(nodeID).answered
}

// rescue gives containers to other nodes whose own is lost, or is cut off for
// so long that it has stopped them itself.
func (a *Attendant) rescue(ctx context.Context) {
	v := a.Store.View()
	for _, n := range v.Nodes() {
		if !n.Approved || !a.condemn(n) {
			continue
		}
		for _, c := range v.ContainersOnNode(n.ID) {
			if containers.Movable(c) != nil || c.State.Status == model.StatusDead {
				continue
			}
			log := a.Logger.With(slog.String("container", c.ID), slog.String("node", n.ID))
			switch err := a.Containers.Move(ctx, c.ID); {
			case err == nil:
				delete(a.complaints, c.ID)
				log.Warn("the node is gone; its container goes to another one")
			case ctx.Err() == nil && a.complaints[c.ID] != err.Error(): // else it was said before
				a.complaints[c.ID] = err.Error()
				log.Warn("cannot give the container of a node that is gone to another one yet", slog.Any("err", err))
			}
		}
	}
}

// condemn reports whether what a node holds may be given to others, and sees to
// it that it gets no lease then.
func (a *Attendant) condemn(n *model.Node) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.of(n.ID)
	since := a.began
	if known.answered.After(since) {
		since = known.answered
	}
	if !n.Lost && (n.Info.StopAfter <= 0 || time.Since(since) <= n.Info.StopAfter+a.Margin) {
		return false
	}
	known.condemned, known.mark = true, ""
	return true
}

// remakeTimeout bounds the making of one container on its new node, its image
// included.
const remakeTimeout = 10 * time.Minute

// remake finishes the ways of containers to their new nodes, whoever began them.
func (a *Attendant) remake(ctx context.Context, making *sync.WaitGroup) {
	for _, c := range a.Store.View().MovingContainers() {
		if c.Move.Fetched || !a.begin(c.ID) { // the former are those of package transfers
			continue
		}
		making.Go(func() {
			defer a.end(c.ID)
			ctx, cancel := context.WithTimeout(ctx, remakeTimeout)
			defer cancel()
			log := a.Logger.With(slog.String("container", c.ID), slog.String("node", c.NodeID))
			switch err := a.Containers.Remake(ctx, c.ID); {
			case err == nil:
				log.Info("the container has arrived at its new node")
			case ctx.Err() == nil:
				log.Warn("cannot make a container on its new node yet", slog.Any("err", err))
			}
		})
	}
}

func (a *Attendant) begin(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy[id] {
		return false
	}
	a.busy[id] = true
	return true
}

func (a *Attendant) end(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, id)
}

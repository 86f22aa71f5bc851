package circle

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/model"
)

var _ peers.Work = (*Circle)(nil)

// Reserve implements peers.Work.
func (c *Circle) Reserve(ctx context.Context, in containers.Intent) (peers.Reserved, error) {
	if !c.Leads() {
		return peers.Reserved{}, errNotLeading
	}
	made, err := c.use.Containers.Reserve(ctx, in)
	if err != nil {
		return peers.Reserved{}, quorum.Again(err)
	}
	return peers.Reserved{Container: made, Index: c.Store.View().Index()}, nil
}

var errNotLeading = model.WrapError(model.KindUnavailable, peers.ErrAgain, "this head does not lead; try again")

// Working implements peers.Work.
func (c *Circle) Working() []string {
	return c.use.Containers.Working()
}

// HoldImages implements peers.Work.
func (c *Circle) HoldImages() ([]string, func(), error) { return c.use.Images.Hold() }

// CancelBuild implements peers.Work.
func (c *Circle) CancelBuild(ctx context.Context, accountID, id string) error {
	return c.use.Builds.CancelBuild(ctx, model.Account{ID: accountID}, id)
}

// Findings implements peers.Work.
func (c *Circle) Findings() (map[string]reconcile.Findings, error) {
	if !c.Leads() {
		return nil, errNotLeading
	}
	return c.use.Reconciler.All(), nil
}

// findingsPatience is how long an operator waits for what the leader has found
// on nodes.
const findingsPatience = 3 * time.Second

// FindingsOfLeader are what reconciliation has found on nodes, by their ids.
// Only the leader knows; without one there are none.
func (c *Circle) FindingsOfLeader(ctx context.Context) map[string]reconcile.Findings {
	var all map[string]reconcile.Findings
	err := c.Heads.AtLeader(ctx, findingsPatience,
		func(context.Context) (err error) {
			all, err = c.Findings()
			return err
		},
		func(ctx context.Context, leader string) (err error) {
			all, err = c.client.Findings(ctx, leader)
			return err
		})
	if err != nil {
		c.Logger.WarnContext(ctx, "cannot ask the leader what it has found on nodes", slog.Any("err", err))
	}
	return all
}

// Reserver has reservations decided on by whichever head leads.
func (c *Circle) Reserver() containers.Reserver { return reserver{c} }

type reserver struct{ c *Circle }

// Reserve implements containers.Reserver.
func (r reserver) Reserve(ctx context.Context, in containers.Intent) (model.Container, error) {
	var made peers.Reserved
	err := r.c.Heads.AtLeader(ctx, quorum.Patience,
		func(ctx context.Context) (err error) {
			made, err = r.c.Reserve(ctx, in)
			return err
		},
		func(ctx context.Context, leader string) (err error) {
			made, err = r.c.client.Reserve(ctx, leader, in)
			return err
		})
	if err != nil {
		return model.Container{}, err
	}
	return made.Container, r.c.Store.WaitApplied(ctx, made.Index)
}

// WorkedOn asks all heads what their requests are creating or updating at
// this moment, and returns what tells whether an id is among it. The Store
// shows what they had seen then.
func (c *Circle) WorkedOn(ctx context.Context) (func(id string) bool, error) {
	var mu sync.Mutex
	busy := map[string]bool{}
	note := func(ids []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			busy[id] = true
		}
	}
	note(c.Working())
	err := c.others.Ask(ctx, func(ctx context.Context, id string) error {
		ids, err := c.client.Working(ctx, id)
		note(ids)
		return err
	})
	if err == nil {
		err = c.Heads.Fresh(ctx)
	}
	return func(id string) bool { return busy[id] }, err
}

// HoldOthers lets nothing begin on the other heads that brings an image to a
// node, until release; the Store shows then what they have brought. arriving
// are nodes that are being sent archives. It fails with KindConflict while
// images are on their way.
func (c *Circle) HoldOthers(ctx context.Context) (arriving []string, release func(), err error) {
	var mu sync.Mutex
	var releases []func()
	release = func() {
		for _, r := range releases {
			r()
		}
	}
	err = c.others.Ask(ctx, func(ctx context.Context, id string) error {
		nodes, let, err := c.client.HoldImages(ctx, id)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		arriving, releases = append(arriving, nodes...), append(releases, let)
		return nil
	})
	if err == nil {
		err = c.Heads.Fresh(ctx)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return arriving, release, nil
}

// CancelEverywhere ends a build, whichever head carries it out. One that none
// does is no error, as with Docker.
func (c *Circle) CancelEverywhere(ctx context.Context, a model.Account, id string) error {
	if err := c.use.Builds.CancelBuild(ctx, a, id); err != nil {
		return err
	}
	err := c.others.Ask(ctx, func(ctx context.Context, other string) error {
		return c.client.CancelBuild(ctx, other, a.ID, id)
	})
	if err != nil {
		c.Logger.WarnContext(ctx, "cannot ask all heads to end a build", slog.String("account", a.Login), slog.Any("err", err))
	}
	return nil
}

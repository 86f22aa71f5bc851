package reconcile

import (
	"context"
	"log/slog"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// updates ends those that are abandoned. The node is told the limits that the
// state has: whatever it had begun before is over then, and its journal says
// what holds.
func (r *Reconciler) updates(ctx context.Context, begun beginning) {
	for _, c := range r.abandoned(ctx, begun) {
		log := r.Logger.With(slog.String("container", c.ID), slog.String("node", c.NodeID), slog.String("op", c.Update.Operation))
		switch err := r.endUpdate(ctx, c); {
		case err == nil:
			log.Info("ended interrupted update")
		case ctx.Err() == nil:
			log.Warn("cannot end interrupted update yet", slog.Any("err", err))
		}
	}
}

func (r *Reconciler) endUpdate(ctx context.Context, c *model.Container) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := r.Agent(c.NodeID).Update(ctx, c.ID, model.ContainerUpdate{Limits: &c.Spec.Limits})
	if err != nil && !model.IsKind(err, model.KindNotFound) {
		return err
	}
	_, err = r.Store.Propose(ctx, command.ReleaseUpdate{ID: c.ID, Operation: c.Update.Operation})
	return err
}

package reconcile

import (
	"context"
	"log/slog"

	"github.com/spearheadcloud/spearhead/model"
)

// abandoned returns the containers of which begun says that something was begun
// with them under some id, and that no head works on. Heads take an id into
// what they work on before it shows in the state, and out of it after its end
// shows; so the state is looked at before they are asked, and again when it
// includes all that they had seen.
func (r *Reconciler) abandoned(ctx context.Context, begun func(*model.Container) (id string, ok bool)) []*model.Container {
	candidates := map[string]bool{}
	for _, c := range r.Store.View().AllContainers() {
		if id, ok := begun(c); ok {
			candidates[id] = true
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	working, err := r.Working(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.Logger.Warn("cannot tell yet what other heads work on", slog.Any("err", err))
		}
		return nil
	}
	var left []*model.Container
	for _, c := range r.Store.View().AllContainers() {
		if id, ok := begun(c); ok && candidates[id] && !working(id) {
			left = append(left, c)
		}
	}
	return left
}

// reserved begins with a container's creation.
func reserved(c *model.Container) (id string, ok bool) {
	return c.ID, c.Phase == model.PhaseReserved
}

// updated begins with an update.
func updated(c *model.Container) (id string, ok bool) {
	if c.Update == nil {
		return "", false
	}
	return c.Update.Operation, true
}

// on restricts begun to one node.
func on(nodeID string, begun func(*model.Container) (string, bool)) func(*model.Container) (string, bool) {
	return func(c *model.Container) (string, bool) {
		id, ok := begun(c)
		return id, ok && c.NodeID == nodeID
	}
}

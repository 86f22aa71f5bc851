package reconcile

import (
	"context"
	"log/slog"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// beginning is a kind of thing that heads begin with containers.
type beginning struct {
	with func(*state.View) []*model.Container // those with which it was begun and has not ended
	id   func(*model.Container) string        // under which it was
}

// reserved begins with a container's creation.
var reserved = beginning{(*state.View).ReservedContainers, func(c *model.Container) string { return c.ID }}

// updated begins with an update.
var updated = beginning{(*state.View).UpdatedContainers, func(c *model.Container) string { return c.Update.Operation }}

// on restricts b to one node.
func (b beginning) on(nodeID string) beginning {
	return beginning{func(v *state.View) []*model.Container {
		return slices.DeleteFunc(b.with(v), func(c *model.Container) bool { return c.NodeID != nodeID })
	}, b.id}
}

// abandoned returns the containers with which something was begun under some
// id that no head works on. Heads take an id into what they work on before it
// shows in the state, and out of it after its end shows; so the state is looked
// at before they are asked, and again when it includes all that they had seen.
func (r *Reconciler) abandoned(ctx context.Context, begun beginning) []*model.Container {
	candidates := map[string]bool{}
	for _, c := range begun.with(r.Store.View()) {
		candidates[begun.id(c)] = true
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
	return slices.DeleteFunc(begun.with(r.Store.View()), func(c *model.Container) bool {
		id := begun.id(c)
		return !candidates[id] || working(id)
	})
}

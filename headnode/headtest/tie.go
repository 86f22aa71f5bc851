package headtest

import (
	"context"
	"sync/atomic"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// tie is what a head holds its nodes by, until it is killed.
type tie struct {
	dead atomic.Bool
	made atomic.Pointer[func()]
}

func (t *tie) cut() { t.dead.Store(true) }

// BeforeCreate has do called, once, when this head is about to let a node make
// a container.
func (h *Head) BeforeCreate(do func()) { h.tie.made.Store(&do) }

// tied is a node as one head reaches it.
type tied struct {
	wire.Agent
	tie *tie
}

var errDead = model.Errorf(model.KindUnavailable, "the head is dead")

func (a tied) Life(ctx context.Context) (wire.Life, error) {
	if a.tie.dead.Load() {
		return wire.Life{}, errDead
	}
	return a.Agent.Life(ctx)
}

func (a tied) Create(ctx context.Context, r wire.CreateRequest) (wire.Ack, error) {
	if do := a.tie.made.Swap(nil); do != nil {
		(*do)()
	}
	if a.tie.dead.Load() {
		return wire.Ack{}, errDead
	}
	return a.Agent.Create(ctx, r)
}

func (a tied) Remove(ctx context.Context, id string, r wire.RemoveRequest) (wire.Ack, error) {
	if a.tie.dead.Load() {
		return wire.Ack{}, errDead
	}
	return a.Agent.Remove(ctx, id, r)
}

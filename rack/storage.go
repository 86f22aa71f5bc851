package rack

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
)

// Kinds of storage.
const (
	storageOverlay = "overlay"
	storageZFS     = "zfs"
)

// storageConfig is the part of agent.toml that says what roots are made of.
func (r *Rack) storageConfig(h host) map[string]any {
	if r.rec.Storage == storageOverlay {
		return map[string]any{"kind": storageOverlay}
	}
	return map[string]any{"kind": storageZFS, "dataset": r.dataset(h)}
}

func (r *Rack) dataset(h host) string { return r.rec.Pool + r.cgroup() + "-" + h.name }

func (r *Rack) ensurePool(context.Context) error {
	if r.rec.Storage == storageZFS && r.rec.Pool == "" {
		return model.Errorf(model.KindNotImplemented, "--storage zfs without --pool")
	}
	return nil
}

func (r *Rack) removePool(context.Context) error { return nil }

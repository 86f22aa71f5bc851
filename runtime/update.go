package runtime

import (
	"context"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

// Update makes l the limits of a running container: all of them or, when it
// returns an error, none. Zero is no limit. Ulimits, Disk and OomKillDisable
// stay as they are until the next start. KindConflict if it does not run or
// uses more memory than it is to have; KindInvalid for what the node's kernel
// does not keep.
func (r *Runtime) Update(ctx context.Context, id string, l *model.Limits) error {
	run, err := r.running(ctx, id)
	if err != nil {
		return err
	}
	live := *l
	live.OomKillDisable = false
	disks, err := findBlockDevices(&live)
	if err != nil {
		return cannotUpdate(id, err)
	}
	resources, err := ocispec.Resources(&live, r.host, disks)
	if err != nil {
		return cannotUpdate(id, err)
	}
	if err := failpoint.Hit("runtime.update"); err != nil {
		return err
	}
	if live.CPURealtimeRuntime > 0 {
		r.realtime.Lock()
		defer r.realtime.Unlock()
		if err := run.group.GrantRealtime(&live); err != nil {
			return cannotUpdate(id, err)
		}
	}
	if err := run.group.Set(resources); err != nil {
		return cannotUpdate(id, r.gone(ctx, id, err))
	}
	return nil
}

func cannotUpdate(id string, err error) error {
	return model.WrapError(model.KindOf(err), err, "Cannot update container %s: %s", id, model.UserText(err))
}

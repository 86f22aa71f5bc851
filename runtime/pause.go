package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/cgroup"
)

// pauseLimit is how long processes may take to come to a halt. One that waits
// for a dead disk does not.
const pauseLimit = 10 * time.Second

// Pause freezes all processes of a running container, and returns when they
// are. A pause that was interrupted is completed. KindConflict, in Docker's
// words, if it does not run or is paused; KindUnavailable if its processes do
// not come to a halt, and then they go on.
func (r *Runtime) Pause(ctx context.Context, id string) error {
	run, err := r.running(ctx, id)
	if err != nil {
		return err
	}
	state, err := run.group.Freezing()
	if err != nil {
		return r.gone(ctx, id, err)
	}
	if state == cgroup.Frozen {
		return model.Errorf(model.KindConflict, "Container %s is already paused", id)
	}
	if err := failpoint.Hit("runtime.pause"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pauseLimit)
	defer cancel()
	err = run.group.Freeze(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return model.WrapError(model.KindUnavailable, err, "cannot pause container %s: its processes do not come to a halt; try again", id)
	}
	return r.gone(ctx, id, err)
}

// Unpause lets the processes of a paused container go on. KindConflict, in
// Docker's words, if it does not run or is not paused.
func (r *Runtime) Unpause(ctx context.Context, id string) error {
	run, err := r.running(ctx, id)
	if err != nil {
		return err
	}
	state, err := run.group.Freezing()
	if err != nil {
		return r.gone(ctx, id, err)
	}
	if state == cgroup.Thawed {
		return model.Errorf(model.KindConflict, "Container %s is not paused", id)
	}
	if err := failpoint.Hit("runtime.unpause"); err != nil {
		return err
	}
	return run.group.Thaw()
}

// Paused tells whether the kernel holds the container's processes back, or is
// about to. False for one that does not run.
func (r *Runtime) Paused(ctx context.Context, id string) (bool, error) {
	run, err := r.running(ctx, id)
	if model.IsKind(err, model.KindConflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	state, err := run.group.Freezing()
	if err = r.gone(ctx, id, err); model.IsKind(err, model.KindConflict) {
		return false, nil
	}
	return state != cgroup.Thawed, err
}

// gone says that a container does not run where that is why its control groups
// gave err.
func (r *Runtime) gone(ctx context.Context, id string, err error) error {
	if err == nil {
		return nil
	}
	if _, now := r.running(ctx, id); model.IsKind(now, model.KindConflict) {
		return now
	}
	return err
}

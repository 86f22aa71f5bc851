package runtime

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
)

var errNotYet = model.Errorf(model.KindNotImplemented, "not possible yet")

// Pause freezes all processes of a running container, and returns when they
// are. KindConflict, in Docker's words, if it does not run or is paused.
func (r *Runtime) Pause(ctx context.Context, id string) error { return errNotYet }

// Unpause lets the processes of a paused container go on. KindConflict, in
// Docker's words, if it does not run or is not paused.
func (r *Runtime) Unpause(ctx context.Context, id string) error { return errNotYet }

// Paused tells whether the kernel holds the container's processes back, or is
// about to. False for one that does not run.
func (r *Runtime) Paused(ctx context.Context, id string) (bool, error) { return false, errNotYet }

// Update makes l the limits of a running container: all of them or, when it
// returns an error, none. Zero is no limit. Ulimits, Disk and OomKillDisable
// stay as they are until the next start. KindConflict if it does not run or
// uses more memory than it is to have.
func (r *Runtime) Update(ctx context.Context, id string, l *model.Limits) error { return errNotYet }

// Stats samples what a running container uses; KindConflict if it does not run.
func (r *Runtime) Stats(ctx context.Context, id string) (model.Stats, error) {
	return model.Stats{}, errNotYet
}

// Probe runs a command in a running container as its user, with its
// environment and working directory, and returns how it ended and the first
// 4,096 bytes that it wrote. When ctx ends, the command and all that it
// started are killed, and the error is ctx's. A probe does not outlive the
// process that asked for it. KindConflict if the container does not run,
// KindInvalid if the command cannot be run.
func (r *Runtime) Probe(ctx context.Context, container string, args []string) (exitCode int, output []byte, err error) {
	return -1, nil, errNotYet
}

// ExecWait returns when the exec has ended, or does not run because it never
// was started; KindNotFound if it is not known.
func (r *Runtime) ExecWait(ctx context.Context, execID string) (ExecState, error) {
	if err := r.ask(ctx, "GET", unitPath(execID, "wait"), nil, nil); err != nil {
		return ExecState{}, failure(err, "wait for the exec")
	}
	return r.ExecState(ctx, execID)
}

package runtime

import (
	"context"
	"errors"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/cgroup"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// probeOutput is how much of a probe's output is kept, in bytes.
const probeOutput = 4096

// Probe runs a command in a running container as its user, with its
// environment and working directory, and returns how it ended and the first
// 4,096 bytes that it wrote. When ctx ends, the command and all that it
// started are killed, and the error is ctx's. A probe does not outlive the
// process that asked for it; it is run again if the supervisor dies over it.
// KindConflict if the container does not run or is paused, KindInvalid if the
// command cannot be run.
func (r *Runtime) Probe(ctx context.Context, container string, args []string) (exitCode int, output []byte, err error) {
	run, err := r.running(ctx, container)
	if err != nil {
		return -1, nil, err
	}
	if err := r.refusePaused(ctx, container, run); err != nil {
		return -1, nil, err
	}
	process, err := r.execProcess(run, ExecSpec{Args: args})
	if err != nil {
		return -1, nil, err
	}
	var result iod.ProbeResult
	err = r.ask(ctx, "POST", "/probes", iod.ProbeRequest{Container: container, Command: r.command(), Process: process, Limit: probeOutput}, &result)
	switch {
	case ctx.Err() != nil:
		return -1, nil, ctx.Err()
	case err != nil:
		return -1, nil, execFailure(err, args[0])
	}
	return result.ExitCode, result.Output, nil
}

// refusePaused keeps new processes out of a frozen group, where the OCI runtime
// would hang with them.
func (r *Runtime) refusePaused(ctx context.Context, id string, run run) error {
	state, err := run.group.Freezing()
	if err != nil {
		return r.gone(ctx, id, errors.Join(errors.New("cannot start exec"), err))
	}
	if state != cgroup.Thawed {
		return model.Errorf(model.KindConflict, "Container %s is paused, unpause the container before exec", id)
	}
	return nil
}

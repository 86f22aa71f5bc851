package agent

import (
	"context"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
)

// execRetry is how long a watch waits before it asks again after the runtime,
// or its supervisor, could not answer.
const execRetry = 250 * time.Millisecond

// watch waits for the end of a started exec and records it.
func (x *execs) watch(e state.Exec) {
	x.agent.loops.Go(func() {
		for {
			if code, ended := x.await(e); ended {
				x.ended(e, code)
				return
			}
			select {
			case <-time.After(execRetry):
			case <-x.agent.running.Done():
				return
			}
		}
	})
}

// await returns when an exec has ended, or when the runtime cannot tell. One
// that the runtime does not know, or that never began, went with its container,
// with the machine, or with the agent that was about to start it.
func (x *execs) await(e state.Exec) (code int, ended bool) {
	now, err := x.agent.drivers.Runtime.ExecWait(x.agent.running, e.Spec.ID)
	switch {
	case model.IsKind(err, model.KindNotFound):
		return 137, true
	case err != nil || now.Running:
		return 0, false
	case now.ExitCode == nil:
		return 137, true
	}
	return *now.ExitCode, true
}

// ended records the end of an exec.
func (x *execs) ended(e state.Exec, code int) {
	e.Started, e.Ended, e.ExitCode = true, time.Now(), code
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.agent.running), execMemory)
	defer cancel()
	if err := x.record(ctx, e, "exec_die", map[string]string{"exitCode": strconv.Itoa(code)}); err != nil {
		x.agent.log.Error("cannot record the end of an exec", "op", "exec", "container", e.Container, "err", err)
	}
}

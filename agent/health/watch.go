package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Probe runs a command in a container. When ctx ends the command is killed.
type Probe func(ctx context.Context, args []string) (exitCode int, output []byte, err error)

// outputLimit is how much of a probe's output is kept, in bytes.
const outputLimit = 4096

// Watch probes a container until ctx ends, beginning with what was known of
// it before, and tells of the outcome of each probe. started is when the
// container's run began. Probes do not overlap: the next one is due its
// interval after the last one has ended.
func Watch(ctx context.Context, check *model.Healthcheck, known model.Health, started time.Time, limit Limit, probe Probe, tell func(context.Context, model.Health)) {
	timer := time.NewTimer(pause(check, known.Status, started, time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		leave, err := limit.enter(ctx)
		if err != nil {
			return
		}
		outcome, err := run(ctx, check, probe)
		leave()
		if ctx.Err() != nil {
			return // what a probe says that was cut short is no outcome
		}
		if err == nil {
			known = judge(check, known, started, outcome)
			tell(ctx, known)
		}
		timer.Reset(pause(check, known.Status, started, time.Now()))
	}
}

// run runs one probe. An error says that there was nothing to probe: the
// container has ended, or is paused, and this is not yet known here.
func run(ctx context.Context, check *model.Healthcheck, probe Probe) (model.HealthProbe, error) {
	timeout := or(check.Timeout, defaultTimeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p := model.HealthProbe{Start: time.Now()}
	code, output, err := probe(ctx, Command(check))
	p.End, p.ExitCode, p.Output = time.Now(), code, text(output)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		p.ExitCode = -1
		p.Output = fmt.Sprintf("Health check exceeded timeout (%v)", timeout)
		if len(output) > 0 {
			p.Output += ": " + text(output)
		}
	case model.IsKind(err, model.KindConflict):
		return p, err
	case err != nil:
		p.ExitCode, p.Output = -1, model.UserText(err)
	}
	return p, nil
}

// text is output as a user may read it.
func text(output []byte) string {
	return strings.ToValidUTF8(string(output[:min(len(output), outputLimit)]), "\uFFFD")
}

package task

import (
	"context"

	"github.com/spearheadcloud/spearhead/agent/health"
	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// finding is what a probe of one watch has led to.
type finding struct {
	watch  *watch
	health model.Health
}

// watch is the probing of one run, while it is not paused.
type watch struct {
	run  string
	stop context.CancelFunc
}

// Health is what the newest probes found; the zero Health for a container
// without a health check. The record, and so the journal, has no log of them.
func (t *Task) Health() model.Health {
	if h := t.healthNow.Load(); h != nil {
		return *h
	}
	return model.Health{}
}

// newHealth is the health of a run that begins.
func (t *Task) newHealth() *model.Health {
	if health.Command(t.spec().Healthcheck) == nil {
		return nil
	}
	return &model.Health{Status: model.HealthStarting}
}

// endHealth says of a container that has ended what Docker says: whoever
// waits for it to be healthy waits in vain.
func (t *Task) endHealth(s *model.ContainerState) {
	if s.Health == nil {
		return
	}
	s.Health = &model.Health{Status: model.HealthUnhealthy, FailingStreak: s.Health.FailingStreak}
	now := t.Health()
	now.Status = model.HealthUnhealthy
	t.healthNow.Store(&now)
}

// watchHealth has the container probed if it is to be, and else not: only one
// that runs, is not paused, and is not asked to end.
func (t *Task) watchHealth() {
	check := t.spec().Healthcheck
	wanted := t.status.Phase == state.PhaseRunning && !t.paused() && !t.status.Freezing && t.ending == nil && health.Command(check) != nil
	if t.watch != nil && (!wanted || t.watch.run != t.status.Run) {
		t.watch.stop()
		t.watch = nil
	}
	if !wanted || t.watch != nil {
		return
	}
	ctx, stop := context.WithCancel(t.closing)
	w := &watch{run: t.status.Run, stop: stop}
	t.watch = w
	known, started := t.Health(), t.status.State.StartedAt
	t.probes.Go(func() {
		defer stop()
		health.Watch(ctx, check, known, started, t.node.Probes, func(ctx context.Context, args []string) (int, []byte, error) {
			return t.node.Runtime.Probe(ctx, t.id, args)
		}, func(ctx context.Context, h model.Health) {
			select {
			case t.findings <- finding{w, h}:
			case <-ctx.Done():
			}
		})
	})
}

// found takes what a probe has led to, and tells of it in the journal when the
// status has changed. If that cannot be written the next probe tries again.
func (t *Task) found(f finding) {
	if f.watch != t.watch {
		return // of a run that is over, or was cut short
	}
	t.healthNow.Store(&f.health)
	if old := t.status.State.Health; old != nil && old.Status == f.health.Status {
		return
	}
	next := t.status
	next.State.Health = &model.Health{Status: f.health.Status, FailingStreak: f.health.FailingStreak}
	if err := failpoint.Hit("agent/health-found"); err != nil {
		t.log.Error("cannot record what a health check found", "op", "health", "err", err)
		return
	}
	if _, err := t.record(next, t.entry("health_status: "+string(f.health.Status), &next.State)); err != nil {
		t.log.Error("cannot record what a health check found", "op", "health", "err", err)
	}
}

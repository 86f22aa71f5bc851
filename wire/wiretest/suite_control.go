package wiretest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// status is what the agent says of a container.
func (s *suite) status(id string) model.Status {
	s.Helper()
	all, err := s.agent.Containers(s.ctx)
	s.ok(err)
	for _, c := range all {
		if c.ID == id {
			return c.State.Status
		}
	}
	return ""
}

func (s *suite) pausedIsHeldBack() {
	id := s.create()
	_, err := s.agent.Pause(s.ctx, id)
	s.wantKind(model.KindConflict, err)
	_, err = s.agent.Unpause(s.ctx, id)
	s.wantKind(model.KindConflict, err)
	s.must(s.agent.Start(s.ctx, id))
	s.must(s.agent.Pause(s.ctx, id))
	if got := s.status(id); got != model.StatusPaused {
		s.Errorf("a paused container is %s", got)
	}
	_, err = s.agent.Pause(s.ctx, id)
	s.wantKind(model.KindConflict, err)
	_, err = s.agent.Start(s.ctx, id)
	s.wantKind(model.KindConflict, err)
	_, err = s.agent.Remove(s.ctx, id, wire.RemoveRequest{})
	s.wantKind(model.KindConflict, err)
	s.wantKind(model.KindConflict, s.agent.ExecCreate(s.ctx, id, wire.ExecSpec{ID: model.NewID(), Args: []string{"cat"}}))
	if _, err := s.agent.Stats(s.ctx, id); err != nil {
		s.Errorf("what a paused container uses: %v", err)
	}
	s.must(s.agent.Unpause(s.ctx, id))
	if got := s.status(id); got != model.StatusRunning {
		s.Errorf("a container that goes on is %s", got)
	}
	_, entries := s.follow(wire.Ack{}, id, "unpause")
	for _, e := range entries {
		if e.Action == "pause" && (e.State == nil || e.State.Status != model.StatusPaused) {
			s.Errorf("the journal tells of the pause with %+v", e.State)
		}
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}

// pausedCanBeEnded is about signals that end a container: they let it go on,
// so that it ends.
func (s *suite) pausedCanBeEnded() {
	for _, end := range []func(id string) (wire.Ack, error){
		func(id string) (wire.Ack, error) { return s.agent.Stop(s.ctx, id, wire.StopRequest{}) },
		func(id string) (wire.Ack, error) { return s.agent.Kill(s.ctx, id, wire.KillRequest{}) },
		func(id string) (wire.Ack, error) {
			return s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true})
		},
	} {
		id := s.started()
		s.must(s.agent.Pause(s.ctx, id))
		s.must(end(id))
		actions, entries := s.follow(wire.Ack{}, id, "die")
		if last := entries[len(entries)-1]; last.State.Status != model.StatusExited {
			s.Errorf("after %v the container is %s", actions, last.State.Status)
		}
		s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{}))
	}
	id := s.started()
	s.must(s.agent.Pause(s.ctx, id))
	s.must(s.agent.Restart(s.ctx, id, wire.StopRequest{}))
	if got := s.status(id); got != model.StatusRunning {
		s.Errorf("a paused container that was restarted is %s", got)
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}

func (s *suite) updateIsTold() {
	id := s.started()
	update := model.ContainerUpdate{
		Limits: &model.Limits{Memory: 64 << 20, CPUShares: 512}, Restart: &model.RestartPolicy{Name: "on-failure", MaxRetries: 3}, Operation: "op",
	}
	ack := s.must(s.agent.Update(s.ctx, id, update))
	_, entries := s.follow(wire.Ack{}, id, "update")
	told := entries[len(entries)-1]
	if told.Update == nil || cmp.Diff(update, *told.Update) != "" {
		s.Errorf("the journal tells of the update %+v", told.Update)
	}
	if told.Seq > ack.Seq {
		s.Errorf("the update was acknowledged with %d, before its entry %d", ack.Seq, told.Seq)
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}

func (s *suite) useAndHealthAreTold() {
	r := Request()
	r.Container.Spec.Healthcheck = &model.Healthcheck{Test: []string{"CMD", "true"}, Interval: time.Hour}
	id := r.Container.ID
	s.must(s.agent.Create(s.ctx, r))
	_, err := s.agent.Stats(s.ctx, id)
	s.wantKind(model.KindConflict, err)
	s.must(s.agent.Start(s.ctx, id))
	stats, err := s.agent.Stats(s.ctx, id)
	s.ok(err)
	if stats.Read.IsZero() || stats.CPU.Total == 0 || stats.Networks["eth0"].RxBytes == 0 {
		s.Errorf("the container uses %+v", stats)
	}
	health, err := s.agent.Health(s.ctx, id)
	s.ok(err)
	if health.Status != model.HealthStarting {
		s.Errorf("before its first probe the container is %q", health.Status)
	}
	other := s.started()
	if health, err := s.agent.Health(s.ctx, other); err != nil || health.Status != "" {
		s.Errorf("without a health check the container is %+v, %v", health, err)
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
	s.must(s.agent.Remove(s.ctx, other, wire.RemoveRequest{Force: true}))
}

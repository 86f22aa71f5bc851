package state

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// running brings a reserved container to life on its node.
func (j *journal) running(r command.ReserveContainer) {
	j.t.Helper()
	created, started := entry(1, r, model.ActionCreate), entry(2, r, "start")
	started.State = &model.ContainerState{Status: model.StatusRunning, Pid: 7, StartedAt: epoch, RestartCount: 2}
	j.must(r, entries("e", created, started))
}

func (j *journal) actions() []string {
	var out []string
	for _, e := range j.View().Events(0, 0) {
		out = append(out, e.Action+e.Attributes["exitCode"])
	}
	return out
}

func TestLostContainerIsDeadUntilForgotten(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r, at := reservation(1, "web"), epoch.Add(time.Hour)
	j.running(r)
	if err := j.try(command.ForgetContainer{ID: r.Container.ID, Time: at}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a running container was forgotten: %v", err)
	}
	lose := command.LoseContainer{ID: r.Container.ID, Reason: "its node lost it", Time: at}
	j.must(lose, lose)
	got, _ := j.View().Container(r.Container.ID)
	want := model.ContainerState{
		Status: model.StatusDead, ExitCode: 255, ExitUnknown: true, Error: "its node lost it",
		StartedAt: epoch, FinishedAt: at, RestartCount: 2,
	}
	if diff := cmp.Diff(want, got.State); diff != "" {
		t.Error(diff)
	}
	if _, ok := j.View().ContainerByName("account-1", "web"); !ok {
		t.Error("the name of a dead container is free before it is removed")
	}
	forget := command.ForgetContainer{ID: r.Container.ID, Time: at}
	j.must(forget, forget)
	if diff := cmp.Diff([]string{"create", "start", "die255", "destroy"}, j.actions()); diff != "" {
		t.Error(diff)
	}
	if got := j.View().Promised("node-1"); got != (model.Resources{}) {
		t.Errorf("the node still promises %+v", got)
	}
}

func TestLostContainerThatDidNotRunKeepsItsExitCode(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.running(r)
	died := entry(3, r, "die")
	died.State = &model.ContainerState{Status: model.StatusExited, ExitCode: 3, FinishedAt: epoch.Add(time.Minute)}
	j.must(entries("e", died), command.LoseContainer{ID: r.Container.ID, Reason: "gone", Time: epoch.Add(time.Hour)})
	got, _ := j.View().Container(r.Container.ID)
	want := model.ContainerState{Status: model.StatusDead, ExitCode: 3, Error: "gone", FinishedAt: epoch.Add(time.Minute)}
	if diff := cmp.Diff(want, got.State); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"create", "start", "die"}, j.actions()); diff != "" {
		t.Error(diff)
	}
}

func TestLostContainerThatRemovesItselfIsRemoved(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	r.Container.Spec.AutoRemove = true
	j.running(r)
	j.must(command.LoseContainer{ID: r.Container.ID, Reason: "gone", Time: epoch})
	if _, there := j.View().Container(r.Container.ID); there {
		t.Error("it is still there")
	}
	if diff := cmp.Diff([]string{"create", "start", "die255", "destroy"}, j.actions()); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyWhatWasOnItsNodeCanBeLost(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(r, command.LoseContainer{ID: reservation(2, "no").Container.ID})
	if err := j.try(command.LoseContainer{ID: r.Container.ID}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a reservation was lost: %v", err)
	}
}

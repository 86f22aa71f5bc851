package state

import (
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// published is a container whose port 80 heads publish by a number.
func published(n int, name string, port model.EndpointPort) command.ReserveContainer {
	r := reservation(n, name)
	r.Container.Spec.Ports = []model.Port{{Number: 80, Protocol: "tcp", Published: true, Endpoint: []model.EndpointPort{port}}}
	return r
}

func started(seq uint64, r command.ReserveContainer, at time.Time) model.JournalEntry {
	e := entry(seq, r, "start")
	e.State = &model.ContainerState{Status: model.StatusRunning, StartedAt: at}
	return e
}

func TestChosenNumbersAreOneContainersOnly(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	chosen, asked := model.EndpointPort{Number: 61000}, model.EndpointPort{First: 61000, Last: 61000, Number: 61000}
	j.must(published(1, "web", chosen))
	if err := j.try(published(2, "db", chosen)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("the same number for two containers: %v", err)
	}
	j.must(published(3, "asks", asked)) // who asks for it is refused when it starts
	if !j.View().EndpointTaken("tcp", 61000) || j.View().EndpointTaken("udp", 61000) {
		t.Error("the number is taken in the wrong protocol")
	}
	j.must(command.ReleaseContainer{ID: published(1, "", chosen).Container.ID}, command.ReleaseContainer{ID: published(3, "", chosen).Container.ID})
	j.must(published(4, "next", chosen))
}

func TestANumberIsOfWhoHasRunForLongest(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	asked := model.EndpointPort{First: 8080, Last: 8080, Number: 8080}
	first, second := published(1, "first", asked), published(2, "second", asked)
	j.must(first, second, entries("epoch", entry(1, first, "create"), entry(2, second, "create")))
	if c, ok := j.View().EndpointHolder("tcp", 8080); ok {
		t.Errorf("%s holds a number and does not run", c.Name)
	}
	j.must(entries("epoch", started(3, first, epoch.Add(time.Second)), started(4, second, epoch)))
	if c, ok := j.View().EndpointHolder("tcp", 8080); !ok || c.Name != "second" {
		t.Errorf("%+v holds the number", c)
	}
	if got := len(j.View().EndpointContainers()); got != 2 {
		t.Errorf("%d containers have numbers", got)
	}
}

func TestWherePortsArePublished(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	of := func() model.Publish {
		a, _ := j.View().Account("account-1")
		return j.View().PublishOf(&a)
	}
	for i, step := range []struct {
		command command.Command
		want    model.Publish
	}{
		{command.CheckState{}, model.PublishContainer},
		{command.SetSetting{Name: model.SettingPublish, Value: string(model.PublishEndpoint)}, model.PublishEndpoint},
		{command.SetAccountPublish{AccountID: "account-1", Publish: model.PublishContainer}, model.PublishContainer},
		{command.SetAccountPublish{AccountID: "account-1"}, model.PublishEndpoint},
		{command.SetSetting{Name: model.SettingPublish, Value: string(model.PublishContainer)}, model.PublishContainer},
	} {
		j.must(step.command)
		if got := of(); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	if err := j.try(command.SetAccountPublish{AccountID: "account-1", Publish: "moon"}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("publishing on the moon: %v", err)
	}
}

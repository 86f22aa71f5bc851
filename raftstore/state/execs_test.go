package state

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

func TestExecsAreListedUntilTheyEnd(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	web := sized(j, 1, "web", 10)
	say := func(action, id string, state *model.ContainerState) {
		t.Helper()
		e := entry(j.seq(), web, action)
		e.State = state
		if id != "" {
			e.Attributes = map[string]string{"execID": id}
		}
		j.must(entries("e", e))
	}
	wantExecs := func(want ...string) {
		t.Helper()
		c, _ := j.View().Container(web.Container.ID)
		if diff := cmp.Diff(want, c.Execs); diff != "" {
			t.Error(diff)
		}
	}
	say("start", "", &model.ContainerState{Status: model.StatusRunning})
	say("exec_create: ls -l", "x1", nil)
	say("exec_create: sh", "x2", nil)
	say("exec_start: ls -l", "x1", nil)
	before, _ := j.View().Container(web.Container.ID)
	wantExecs("x1", "x2")
	say("exec_detach", "x2", nil)
	say("exec_die", "x1", nil)
	wantExecs("x2")
	if diff := cmp.Diff([]string{"x1", "x2"}, before.Execs); diff != "" {
		t.Errorf("what a reader had has changed: %s", diff)
	}
	say("exec_die", "x2", nil)
	wantExecs()
	say("exec_create: sh", "x3", nil)
	say("die", "", &model.ContainerState{Status: model.StatusExited})
	wantExecs()
	say("exec_die", "x3", nil)
	wantExecs()
	for n := range maxExecs + 2 {
		say("exec_create: sh", strconv.Itoa(n), nil)
	}
	if c, _ := j.View().Container(web.Container.ID); len(c.Execs) != maxExecs || c.Execs[0] != "2" {
		t.Errorf("%d execs are listed, the first is %s", len(c.Execs), c.Execs[0])
	}
}

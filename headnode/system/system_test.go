package system_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/system"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

func service(c *headtest.Center) *system.Service {
	return system.New(system.Config{Store: c.Store, Connected: c.Nodes.Connected, Load: c.Load, Name: "dc"})
}

func at(second int) time.Time { return time.Date(2026, 11, 21, 10, 0, second, 0, time.UTC) }

func record(c *headtest.Center, a model.Account, second int) {
	c.Propose(command.RecordEvent{Event: model.Event{
		Time: at(second), AccountID: a.ID, Type: "container", Action: "prune", ActorID: fmt.Sprint(second),
	}})
}

// collect returns the actors of the events until there are as many as wanted,
// or the stream ends by itself.
func collect(t *testing.T, c *headtest.Center, a model.Account, since, until time.Time, wanted int) []string {
	t.Helper()
	enough := errors.New("enough")
	var got []string
	err := service(c).Events(headtest.Context(t), a, since, until, func(e model.Event) error {
		if got = append(got, e.ActorID); len(got) == wanted {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		t.Error(err)
	}
	return got
}

func TestEventsOfThePastSurviveTheHead(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	a, other := c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	for second := range 6 {
		record(c, a, second)
		record(c, other, second)
	}
	c.Restart()
	for _, tc := range []struct {
		since, until int
		want         []string
	}{
		{0, 50, []string{"0", "1", "2", "3", "4", "5"}}, {2, 4, []string{"2", "3", "4"}}, {5, 5, []string{"5"}}, {40, 50, nil},
	} {
		if diff := cmp.Diff(tc.want, collect(t, c, a, at(tc.since), at(tc.until), -1)); diff != "" {
			t.Errorf("since %d until %d: %s", tc.since, tc.until, diff)
		}
	}
	if got := collect(t, c, a, time.Time{}, at(50), -1); len(got) != 0 {
		t.Errorf("without since: %v", got)
	}
}

func TestEventsGoOnWithoutGapOrRepetition(t *testing.T) {
	t.Parallel()
	const before, after = 50, 50
	c := headtest.New(t, 0)
	a := c.Account("jill", model.PolicyTenant)
	for i := range before {
		record(c, a, i)
	}
	more := make(chan struct{})
	go func() {
		defer close(more)
		for i := range after {
			record(c, a, before+i)
		}
	}()
	got := collect(t, c, a, at(0), time.Time{}, before+after)
	<-more
	for i, actor := range got {
		if actor != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, actor)
		}
	}
}

func TestEventsEndWithTheirReader(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	ctx, cancel := context.WithCancel(headtest.Context(t))
	cancel()
	err := service(c).Events(ctx, c.Account("jill", model.PolicyTenant), time.Time{}, time.Time{}, func(model.Event) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// What the agent tells of a container has the attributes that Docker's events
// have, besides its own.
func TestEventsOfContainersHaveDockersAttributes(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Name: "web", Spec: model.ContainerSpec{Image: "busybox"}}); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func() error{
		func() error { return c.Containers.Start(ctx, a, "web") },
		func() error { return c.Containers.Pause(ctx, a, "web") },
		func() error { return c.Containers.Unpause(ctx, a, "web") },
		func() error { return c.Containers.Rename(ctx, a, "web", "shop") },
		func() error { return c.Containers.Remove(ctx, a, "shop", wire.RemoveRequest{Force: true}) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	type told struct{ Action, Name, Image, Maker, Extra string }
	var got []told
	for _, e := range c.Store.View().Events(0, 0) {
		if e.Type == "container" {
			x := e.Attributes
			got = append(got, told{e.Action, x["name"], x["image"], x["maker"], x["oldName"] + x["exitCode"]})
		}
	}
	var want []told
	for _, w := range [][3]string{{"create", "web"}, {"start", "web"}, {"pause", "web"}, {"unpause", "web"}, {"rename", "shop", "/web"}, {"die", "shop", "137"}, {"destroy", "shop"}} {
		want = append(want, told{w[0], w[1], "busybox", "tests", w[2]})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Users see that storage fails somewhere, and not where.
func TestStorageThatFailsIsAWarning(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	a := c.Account("jill", model.PolicyTenant)
	warnings := func() []string {
		t.Helper()
		info, err := service(c).Info(headtest.Context(t), a)
		if err != nil {
			t.Fatal(err)
		}
		return info.Warnings
	}
	if got := warnings(); len(got) != 0 {
		t.Errorf("with all well: %q", got)
	}
	c.Tell("node-1", model.NodeLoad{Storage: model.StorageSilent})
	if got := warnings(); len(got) != 1 || !strings.Contains(got[0], "the storage of some nodes fails") || strings.Contains(got[0], "node-1") {
		t.Errorf("with storage that does not answer: %q", got)
	}
	c.Tell("node-1", model.NodeLoad{})
	if got := warnings(); len(got) != 0 {
		t.Errorf("once it is well again: %q", got)
	}
}

package transfers_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// The names of a family, in the order in which they can start: db shares a
// volume with web, proxy lives in web's network, and probe beside the processes
// of proxy.
var family = []string{"db", "web", "proxy", "probe"}

// runFamily makes containers that have to be on one node; tell sets their names
// apart from those of other families.
func (c *center) runFamily(tell string) (ids []string) {
	mount := []model.Mount{{Type: model.MountVolume, Source: "data" + tell, Target: "/data"}}
	db := c.runAs("db"+tell, model.ContainerSpec{Network: "none", Mounts: mount})
	web := c.runAs("web"+tell, model.ContainerSpec{Network: "none", Mounts: mount})
	proxy := c.runAs("proxy"+tell, model.ContainerSpec{Network: "container:" + web})
	probe := c.runAs("probe"+tell, model.ContainerSpec{Network: "none", PidMode: "container:" + proxy})
	return []string{db, web, proxy, probe}
}

// checkFamily checks that all are on one node, run, and hold what they wrote.
func (c *center) checkFamily(ids []string, tell string) {
	c.t.Helper()
	for i, id := range ids {
		c.settled(id)
		c.checkOne(id, family[i]+tell)
		if c.container(id).NodeID != c.container(ids[0]).NodeID {
			c.t.Errorf("%s%s is on another node than %s%s", family[i], tell, family[0], tell)
		}
	}
	vol, ok := c.Store.View().VolumeByName(c.account.ID, "data"+tell)
	if !ok || vol.NodeID != c.container(ids[0]).NodeID {
		c.t.Errorf("their volume is on %s", vol.NodeID)
	}
}

// Those that share volumes and namespaces move in one move. Who lives in another's
// namespace stops before that one and starts after it.
func TestAFamilyMoves(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	s, _ := c.lead(nil)
	ids := c.runFamily("")
	from, before := c.container(ids[0]).NodeID, c.Store.View().Index()
	var last transfers.Progress
	if err := s.Move(headtest.Context(t), ids[3], "", 0, func(p transfers.Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	if along := "db, web, proxy"; last.Step != "done" || len(last.Along) != len(along) {
		t.Errorf("the move ended as %+v", last)
	}
	c.checkFamily(ids, "")
	if c.container(ids[0]).NodeID == from {
		t.Error("the family is where it was")
	}
	var ends, starts []string
	for _, e := range c.Store.View().Events(before, 0) {
		switch e.Action {
		case "die":
			ends = append(ends, e.Attributes["name"])
		case "start":
			starts = append(starts, e.Attributes["name"])
		}
	}
	inOrder := func(all []string) []string {
		return slices.DeleteFunc(all, func(name string) bool { return name == "db" }) // nobody lives in it
	}
	if diff := cmp.Diff([]string{"probe", "proxy", "web"}, inOrder(ends)); diff != "" {
		t.Errorf("they ended in another order: %s", diff)
	}
	if diff := cmp.Diff([]string{"web", "proxy", "probe"}, inOrder(starts)); diff != "" {
		t.Errorf("they started in another order: %s", diff)
	}
}

// A step that fails for one leaves all where they were.
func TestAFamilyStays(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"fetch", "depart"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			c := newCenter(t)
			s, _ := c.lead(nil)
			ids := c.runFamily("")
			from, calls := c.container(ids[0]).NodeID, 0
			for _, node := range []string{"node-1", "node-2"} {
				c.Agent(node).FailMove(func(called string) error {
					if called != call {
						return nil
					}
					if calls++; calls == 3 {
						return model.Errorf(model.KindExhausted, "no space left on the node's storage")
					}
					return nil
				})
			}
			err := s.Move(headtest.Context(t), ids[1], "", 0, func(transfers.Progress) {})
			if !model.IsKind(err, model.KindConflict) {
				t.Errorf("the move ended with %v", err)
			}
			c.checkFamily(ids, "")
			if c.container(ids[0]).NodeID != from {
				t.Error("the family has moved")
			}
		})
	}
}

// The leader ends at any single thing that it does with a family: the next one
// goes on, and all are on one node in the end.
func TestTheLeaderMayDieAtAnyStepOfAFamily(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	for last := 0; ; last += 3 { // some go at once: each run has them in another order
		tell := fmt.Sprint(last)
		ids := c.runFamily(tell)
		if !c.killedAt(last, ids...) {
			break
		}
		c.checkFamily(ids, tell)
	}
}

// One that is lost on the way holds up none of the others.
func TestAFamilyLosesOne(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	ids := c.runFamily("")
	from := c.container(ids[0]).NodeID
	first := slices.Min(ids) // it carries the way
	c.Propose(command.AskGroupTransfer{ID: ids[0], Operation: "way", Time: time.Now().UTC()})
	if err := c.Containers.PlaceTransfer(headtest.Context(t), first); err != nil {
		t.Fatal(err)
	}
	c.Propose(command.StepTransfer{ID: first, Operation: "way", Step: model.TransferStopping})
	c.Propose(command.LoseContainer{ID: first, Reason: "fire", Time: time.Now().UTC()})
	c.lead(nil)
	for i, id := range ids {
		c.settled(id)
		if now := c.container(id); now.NodeID != from || id != first && !c.at(from).Runs(id) {
			t.Errorf("%s is on %s, and %s", family[i], now.NodeID, now.State.Status)
		}
	}
}

// A family is planned as one, and a rule to be beside one of it is kept by going
// along.
func TestAFamilyIsPlannedAsOne(t *testing.T) {
	t.Parallel()
	c := newCenter(t)
	ids := c.runFamily("")
	from := c.container(ids[0]).NodeID
	watch := c.runAs("watch", model.ContainerSpec{Network: "container:" + ids[1], Env: []string{"affinity:container==db"}})
	want := append(slices.Clone(ids), watch)
	slices.Sort(want)
	planned := c.Containers.PlanMoves(from)
	for _, p := range planned {
		group := append(slices.Clone(p.With), p.Container.ID)
		slices.Sort(group)
		if diff := cmp.Diff(want, group); diff != "" || p.Reason != nil || p.To != c.other(from) {
			t.Errorf("%s goes to %q (%v) with others than it belongs to: %s", p.Container.Name, p.To, p.Reason, diff)
		}
	}
	if len(planned) != len(want) {
		t.Errorf("%d are planned", len(planned))
	}
}

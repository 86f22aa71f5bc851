package state

import (
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// movable is a running container on node-1 whose owner asked to have it
// started elsewhere, and a node-2 beside it.
func movable(t *testing.T) (*journal, string) {
	t.Helper()
	j := newJournal(t)
	r := reservation(1, "web")
	r.Container.Spec.Labels = map[string]string{model.LabelReschedule: "true"}
	j.must(testNode(2, 100), r, ranOn("node-1", 1, "create", "start"))
	return j, r.Container.ID
}

// ranOn is a node's journal about the first container, in which it runs.
func ranOn(node string, seq uint64, actions ...string) command.CommitJournal {
	c := command.CommitJournal{NodeID: node, Epoch: "e"}
	for i, action := range actions {
		e := model.JournalEntry{Seq: seq + uint64(i), ContainerID: reservation(1, "").Container.ID, Action: action, Time: epoch}
		e.State = &model.ContainerState{Status: model.StatusRunning, Pid: 7}
		c.Entries = append(c.Entries, e)
	}
	return c
}

func move(id string, generation int) command.MoveContainer {
	return command.MoveContainer{
		ID: id, From: "node-1", To: "node-2", Generation: generation, Reserved: model.Resources{Memory: 10}, Time: epoch,
	}
}

func TestAContainerMovesWithItsNameAndAddress(t *testing.T) {
	t.Parallel()
	j, id := movable(t)
	before, _ := j.View().Container(id)
	j.must(move(id, 1))
	c, _ := j.View().Container(id)
	if c.NodeID != "node-2" || c.Generation != 1 || c.Move == nil || !c.Move.Start || c.State.Status != model.StatusCreated {
		t.Errorf("the container is %+v", c)
	}
	if c.Name != before.Name || c.NICs[0].Address != before.NICs[0].Address {
		t.Errorf("it is called %s and has %v", c.Name, c.NICs)
	}
	if n := j.View().PromisedTo("node-1"); n != 0 {
		t.Errorf("its old node still promises %d containers", n)
	}
	if p := j.View().Promised("node-2"); p.Memory != 10 {
		t.Errorf("its new node promises %+v", p)
	}
	// What the old node says of it does not count any more.
	j.must(ranOn("node-1", 3, "die", "destroy"))
	if c, ok := j.View().Container(id); !ok || c.State.Status != model.StatusCreated {
		t.Errorf("the old node has ended it: %+v", c)
	}
	j.must(ranOn("node-2", 1, "create", "start"), command.SettleMove{ID: id, Generation: 1})
	if c, _ := j.View().Container(id); c.Move != nil || c.State.Status != model.StatusRunning {
		t.Errorf("on its new node it is %+v", c)
	}
}

func TestMovesAreRefusedForGoodReasons(t *testing.T) {
	t.Parallel()
	j, id := movable(t)
	j.must(reservation(2, "stays"), command.PutNode{Node: model.Node{ID: "node-3", Name: "n3"}})
	cordoned := true
	j.must(testNode(4, 100), command.ChangeNode{ID: "node-4", Change: model.NodeChange{Cordoned: &cordoned}})
	for name, change := range map[string]func(*command.MoveContainer){
		"another generation":   func(c *command.MoveContainer) { c.Generation = 2 },
		"the same again":       func(c *command.MoveContainer) { c.Generation = 0 },
		"from elsewhere":       func(c *command.MoveContainer) { c.From = "node-2" },
		"to its own node":      func(c *command.MoveContainer) { c.To = "node-1" },
		"to no node":           func(c *command.MoveContainer) { c.To = "nowhere" },
		"to a pending node":    func(c *command.MoveContainer) { c.To = "node-3" },
		"to a cordoned node":   func(c *command.MoveContainer) { c.To = "node-4" },
		"to a full node":       func(c *command.MoveContainer) { c.Reserved.Memory = 101 },
		"an unknown container": func(c *command.MoveContainer) { c.ID = "x" },
		"one not asked for":    func(c *command.MoveContainer) { c.ID = reservation(2, "").Container.ID },
	} {
		c := move(id, 1)
		change(&c)
		if err := j.try(c); err == nil {
			t.Errorf("%s: it has moved", name)
		}
	}
	j.must(move(id, 1))
	if err := j.try(move(id, 1)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("it was moved twice: %v", err)
	}
}

func TestALostContainerIsFound(t *testing.T) {
	t.Parallel()
	j, id := movable(t)
	j.must(command.LoseContainer{ID: id, Reason: "the node is lost", Time: epoch})
	running := model.ContainerState{Status: model.StatusRunning, Pid: 7, StartedAt: epoch}
	j.must(command.FindContainer{ID: id, NodeID: "node-2", State: running})
	if c, _ := j.View().Container(id); c.State.Status != model.StatusDead {
		t.Errorf("another node's word was taken: %+v", c.State)
	}
	j.must(command.FindContainer{ID: id, NodeID: "node-1", State: running})
	if c, _ := j.View().Container(id); c.State.Status != model.StatusRunning || c.State.Pid != 7 {
		t.Errorf("it is %+v", c.State)
	}
}

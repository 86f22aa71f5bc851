package state

import (
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// wayfarer is a running container on node-1 that mounts a volume of 20, and an
// empty node-2 beside it.
func wayfarer(t *testing.T) (*journal, string) {
	t.Helper()
	j := newJournal(t)
	r := mounting(1, "v1")
	j.must(quotaNode(1, 100), quotaNode(2, 100), command.CreateVolume{Volume: testVolume(1, 20)}, r, ranOn("node-1", 1, "create", "start"))
	return j, r.Container.ID
}

func step(id string, to model.TransferStep) command.StepTransfer {
	return command.StepTransfer{ID: id, Operation: "way", Step: to}
}

// copying takes the first steps of a transfer to node-2.
func copying(j *journal, id string) {
	c, _ := j.View().Container(id)
	reserved := c.Reserved
	reserved.Disk += 20
	begin := step(id, model.TransferCopying)
	begin.To, begin.Reserved = "node-2", reserved
	j.must(command.AskGroupTransfer{ID: id, Operation: "way", Time: epoch}, begin, begin)
}

func ended(node string, seq uint64) command.CommitJournal {
	cmd := ranOn(node, seq, "die")
	cmd.Entries[0].State = &model.ContainerState{Status: model.StatusExited, ExitCode: 3}
	return cmd
}

func TestATransferMovesAllAtOnce(t *testing.T) {
	t.Parallel()
	j, id := wayfarer(t)
	before, _ := j.View().Container(id)
	copying(j, id)
	if p := j.View().Promised("node-2"); p.Disk != before.Reserved.Disk+20 || p.Memory != before.Reserved.Memory || j.View().PromisedTo("node-2") != 1 {
		t.Errorf("the new node promises %+v meanwhile", p)
	}
	if c, _ := j.View().Container(id); c.NodeID != "node-1" || c.Generation != 0 {
		t.Errorf("meanwhile it is %+v", c)
	}
	complete := command.CompleteTransfer{ID: id, Operation: "way", Time: epoch}
	j.refused(complete, model.KindConflict) // it is not stopped for it
	j.must(step(id, model.TransferStopping))
	j.refused(complete, model.KindConflict) // it runs
	j.must(ended("node-1", 3), complete)
	c, _ := j.View().Container(id)
	if c.NodeID != "node-2" || c.Generation != 1 || c.Transfer != nil || c.Move == nil || !c.Move.Start || c.State.ExitCode != 3 || c.Reserved != before.Reserved {
		t.Errorf("the container is %+v", c)
	}
	if c.Name != before.Name || c.NICs[0].Address != before.NICs[0].Address || c.NICs[0].MAC != before.NICs[0].MAC {
		t.Errorf("it is called %s and has %v", c.Name, c.NICs)
	}
	if v := j.volume("v1"); v.NodeID != "node-2" || !slices.Equal(v.Copies, []model.VolumeCopy{{NodeID: "node-1", Dead: true}}) {
		t.Errorf("its volume is %+v", v)
	}
	if p := j.View().Promised("node-1"); p != (model.Resources{}) {
		t.Errorf("the old node promises %+v", p)
	}
	j.refused(complete, model.KindConflict)
	j.must(ranOn("node-1", 4, "destroy")) // of the old copy
	j.must(command.SettleMove{ID: id, Generation: 1}, command.DropFormer{ID: id, Former: model.FormerCopy{NodeID: "node-1"}})
	if c, ok := j.View().Container(id); !ok || c.Move != nil || c.Former != nil || c.LastTransfer.Failure != "" {
		t.Errorf("in the end it is %+v", c)
	}
}

func TestATransferThatIsUndone(t *testing.T) {
	t.Parallel()
	j, id := wayfarer(t)
	before := j.View().Promised("node-1")
	copying(j, id)
	j.must(step(id, model.TransferStopping))
	j.refused(command.EndTransfer{ID: id, Operation: "way", Time: epoch}, model.KindConflict)
	undo := step(id, model.TransferUndoing)
	undo.Failure = "the other node is gone"
	j.must(undo)
	j.refused(step(id, model.TransferStopping), model.KindConflict)
	j.must(command.EndTransfer{ID: id, Operation: "way", Time: epoch}, command.EndTransfer{ID: id, Operation: "way", Time: epoch})
	c, _ := j.View().Container(id)
	if c.NodeID != "node-1" || c.Transfer != nil || c.LastTransfer.Failure != undo.Failure || !slices.Equal(c.Former, []model.FormerCopy{{NodeID: "node-2", Generation: 1}}) {
		t.Errorf("the container is %+v", c)
	}
	if v := j.volume("v1"); v.NodeID != "node-1" || v.Moving() {
		t.Errorf("its volume is %+v", v)
	}
	if j.View().Promised("node-1") != before || j.View().Promised("node-2") != (model.Resources{}) {
		t.Errorf("promised are %+v and %+v", j.View().Promised("node-1"), j.View().Promised("node-2"))
	}
	// The node that has a copy is not chosen again before that is gone.
	j.must(command.AskGroupTransfer{ID: id, Operation: "again", Time: epoch})
	again := command.StepTransfer{ID: id, Operation: "again", Step: model.TransferCopying, To: "node-2", Reserved: c.Reserved}
	j.refused(again, model.KindConflict)
	j.must(command.RemoveNode{ID: "node-2"})
	if c, _ := j.View().Container(id); c.Former != nil {
		t.Errorf("a node that has left holds %+v", c.Former)
	}
}

// Whoever is lost on the way takes what was promised along.
func TestAContainerThatIsLostOnItsWay(t *testing.T) {
	t.Parallel()
	j, id := wayfarer(t)
	copying(j, id)
	j.must(command.LoseContainer{ID: id, Reason: "fire", Time: epoch})
	vol := j.volume("v1")
	if c, _ := j.View().Container(id); c.Transfer != nil || j.View().PromisedTo("node-2") != 0 || vol.Moving() {
		t.Errorf("the container is %+v", c)
	}
}

// What logs hold of earlier heads means what it meant: one container, which
// shares nothing.
func TestTransfersAreRefusedForGoodReasons(t *testing.T) {
	t.Parallel()
	ask := func(id string) command.AskTransfer { return command.AskTransfer{ID: id, Operation: "o", Time: epoch} }
	j, id := wayfarer(t)
	to := ask(id)
	to.Node = "node-1"
	j.refused(to, model.KindConflict)
	j.refused(ask("x"), model.KindNotFound)
	shares := mounting(2, "v1")
	j.must(shares)
	j.refused(ask(shares.Container.ID), model.KindConflict) // it is not made yet
	j.refused(ask(id), model.KindConflict)                  // another mounts its volume
	j.must(command.ReleaseContainer{ID: shares.Container.ID})
	joins := reservation(3, "joins")
	joins.Container.NICs, joins.Container.Spec.Network = nil, "container:"+id
	j.must(joins)
	j.refused(ask(id), model.KindConflict) // another lives in its namespace
	j.must(command.ReleaseContainer{ID: joins.Container.ID})
	copying(j, id)
	j.refused(ask(id), model.KindConflict)
	j.refused(command.SetVolumeSize{ID: "volume-1", Before: 20, Size: 30}, model.KindConflict)
	j.refused(command.ReserveUpdate{ID: id, Operation: "u"}, model.KindConflict)
}

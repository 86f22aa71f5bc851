package state

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func testHead(id string) command.PutHead {
	return command.PutHead{Head: model.Head{ID: id, Name: "name of " + id, RaftAddress: "10.0.0.1:2380", Joined: epoch}}
}

func headIDs(v *View) (ids []string) {
	for _, h := range v.Heads() {
		ids = append(ids, h.ID)
	}
	return ids
}

func TestRemovedHeadsStayRemoved(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	moved := testHead("head-1")
	moved.Head.RaftAddress = "10.0.0.9:2380"
	j.must(testHead("head-1"), testHead("head-2"), moved, command.RemoveHead{ID: "head-2"}, command.RemoveHead{ID: "head-2"})
	if h, _ := j.View().Head("head-1"); h.RaftAddress != "10.0.0.9:2380" {
		t.Errorf("the head's address is %s", h.RaftAddress)
	}
	if err := j.try(testHead("head-2")); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a removed head is added: %v", err)
	}
	var data bytes.Buffer
	if err := j.View().Write(&data); err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(&data)
	if err != nil {
		t.Fatal(err)
	}
	v := restored.View()
	if !v.HeadRemoved("head-2") || v.HeadRemoved("head-1") {
		t.Error("a snapshot forgets who was removed")
	}
	if diff := cmp.Diff([]string{"head-1"}, headIDs(v)); diff != "" {
		t.Error(diff)
	}
}

// Rules that have changed hold once all heads know them: before that, heads of
// two releases would come to different states.
func TestRulesChangeWhenAllHeadsAreUpgraded(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.0.0", model.HeadVersion("1.1.0", command.Level)} {
		upgraded := version != "1.0.0"
		j, id := movable(t)
		old, now := testHead("head-1"), testHead("head-2")
		old.Head.Version, now.Head.Version = version, model.HeadVersion("1.1.0", command.Level)
		j.must(old, now, command.PutPackage{Package: model.Package{Name: "small", Memory: 10, Active: true}})
		if level := j.View().Level(); upgraded != (level == command.Level) {
			t.Errorf("with a head of %s the level is %d", version, level)
		}
		r := reservation(1, "web")
		update := func(op string) {
			c, _ := j.View().Container(id)
			j.must(command.ReserveUpdate{ID: id, Operation: op, Package: "small", Before: c.Spec.Limits, Needs: c.Reserved, Time: epoch}, j.updated(r, op, c.Spec.Limits))
		}
		update("u1")
		j.must(command.RemovePackage{Name: "small"})
		update("u2")
		if _, there := j.View().Package("small"); there != upgraded {
			t.Errorf("with a head of %s, once the container has changed, it is %v that its removed package is there", version, there)
		}
	}
}

func TestBackupComesIntoADataCenterThatHasGoneOn(t *testing.T) {
	t.Parallel()
	old := newJournal(t)
	r := reservation(1, "web")
	token := func(id string) command.PutToken {
		return command.PutToken{Token: model.Token{ID: id, Role: model.RoleNode, Hash: "h", Created: epoch, Expires: epoch.Add(time.Hour)}}
	}
	old.must(testHead("head-1"), testHead("head-3"), token("old"), r, entries("e", entry(1, r, "create")))
	present := newJournal(t)
	present.must(testHead("head-2"), command.RemoveHead{ID: "head-1"}, token("new"), testNode(2, 100), command.RemoveNode{ID: "node-2"})
	if err := old.Adopt(present.View(), 1000); err != nil {
		t.Fatal(err)
	}
	v := old.View()
	if diff := cmp.Diff([]string{"head-2"}, headIDs(v)); diff != "" {
		t.Error(diff)
	}
	if !v.HeadRemoved("head-1") || !v.HeadRemoved("head-3") || v.HeadRemoved("head-2") {
		t.Error("a head that was removed after the backup is one again, or the wrong one was removed")
	}
	if tokens := v.Tokens(); len(tokens) != 1 || tokens[0].ID != "new" {
		t.Errorf("tokens of the backup are valid again: %v", tokens)
	}
	if !exists(v.txn, tableDeparted, indexID, "node-2") {
		t.Error("a node that was removed after the backup may come back")
	}
	if v.Index() != 1000 {
		t.Errorf("the index is %d", v.Index())
	}
	if n, _ := v.Node("node-1"); n.JournalEpoch != "" || n.JournalSeq != 0 {
		t.Errorf("the journal is at %s %d", n.JournalEpoch, n.JournalSeq)
	}
	if _, ok := v.Container(r.Container.ID); !ok {
		t.Error("the backup's container is gone")
	}
}

func TestSurvivorIsTheOnlyHead(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(testHead("head-1"), testHead("head-2"), testHead("head-3"), r, entries("e", entry(1, r, "create")))
	if err := j.Survive("head-2"); err != nil {
		t.Fatal(err)
	}
	v := j.View()
	if diff := cmp.Diff([]string{"head-2"}, headIDs(v)); diff != "" {
		t.Error(diff)
	}
	if !v.HeadRemoved("head-1") || !v.HeadRemoved("head-3") {
		t.Error("a lost head could come back")
	}
	if n, _ := v.Node("node-1"); n.JournalEpoch != "" {
		t.Error("the journal is believed to be known")
	}
}

// After the restore of an old backup a node's journal goes on far behind the
// place that the state knows, and what it said in between is gone.
func TestJournalWithAGapBeginsAnew(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r, ended, reserved := reservation(1, "web"), reservation(2, "db"), reservation(3, "cache")
	j.must(r, ended, reserved, entries("e", entry(1, r, "create"), entry(2, ended, "create")))
	if err := j.try(entries("e", entry(90, r, "die"))); !model.IsKind(err, model.KindConflict) {
		t.Fatalf("a gap got %v", err)
	}
	running := model.ContainerState{Status: model.StatusRunning, Pid: 7}
	exited := model.ContainerState{Status: model.StatusExited, ExitCode: 3}
	j.must(command.ResetJournal{NodeID: "node-1", Containers: []command.ContainerFound{
		{ID: r.Container.ID, State: running}, {ID: ended.Container.ID, State: exited},
		{ID: reserved.Container.ID, State: exited}, {ID: "unknown", State: running},
	}})
	for id, want := range map[string]model.ContainerState{r.Container.ID: running, ended.Container.ID: exited} {
		c, _ := j.View().Container(id)
		if diff := cmp.Diff(want, c.State); diff != "" {
			t.Error(diff)
		}
	}
	if c, _ := j.View().Container(reserved.Container.ID); c.Phase != model.PhaseReserved || c.State.Status == model.StatusExited {
		t.Errorf("a reservation became %s, %s", c.Phase, c.State.Status)
	}
	j.must(entries("e", entry(90, r, "die"), entry(91, r, "destroy")))
	if n, _ := j.View().Node("node-1"); n.JournalEpoch != "e" || n.JournalSeq != 91 {
		t.Errorf("the journal is at %s %d", n.JournalEpoch, n.JournalSeq)
	}
	if err := j.try(command.ResetJournal{NodeID: "nowhere"}); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("an unknown node's journal got %v", err)
	}
}

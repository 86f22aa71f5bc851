package state

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) commitJournal(cmd command.CommitJournal) error {
	n, err := t.node(cmd.NodeID)
	if err != nil {
		return err
	}
	if cmd.Epoch == "" {
		return model.Errorf(model.KindInvalid, "a journal has no epoch")
	}
	if len(cmd.Entries) == 0 {
		return nil
	}
	if cmd.Entries[0].Seq == 0 {
		return model.Errorf(model.KindInvalid, "a journal begins with entry 1")
	}
	known := n.JournalSeq
	if cmd.Epoch != n.JournalEpoch {
		// Where a journal that is new here begins: a node that comes back with
		// an older disk has forgotten what was acknowledged of it then.
		known = cmd.Entries[0].Seq - 1
	}
	for _, e := range cmd.Entries {
		if e.Seq <= known {
			continue
		}
		if e.Seq != known+1 {
			return model.Errorf(model.KindConflict, "the journal of node %s has a gap: entry %d follows %d", n.Name, e.Seq, known)
		}
		known = e.Seq
		if err := t.commitEntry(n.ID, e); err != nil {
			return err
		}
	}
	n.JournalEpoch, n.JournalSeq = cmd.Epoch, known
	return t.insert(tableNodes, &n)
}

// commitEntry changes the container that an entry is about. A node can speak
// of its own containers only; an entry about any other, such as one that was
// given up while the node was away, is passed over.
func (t *transaction) commitEntry(nodeID string, e model.JournalEntry) error {
	c, ok := t.Container(e.ContainerID)
	if !ok || c.NodeID != nodeID {
		return nil
	}
	if e.State != nil {
		c.State = *e.State
	}
	listExec(&c, &e)
	if e.Action == model.ActionCreate && c.Phase == model.PhaseReserved {
		c.Phase = model.PhaseCreated
	}
	if e.Update != nil {
		if err := t.updateContainer(&c, e.Update); err != nil {
			return err
		}
	}
	if e.Action == "start" {
		t.recordMounts(&c, "mount", e.Time)
	}
	if e.Action != "" {
		t.recordOf(&c, e.Action, e.Time, e.Attributes)
	}
	if e.Action == "die" {
		t.recordMounts(&c, "unmount", e.Time)
	}
	if e.Action == model.ActionDestroy {
		return t.endContainer(&c, e.Time)
	}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

func (t *transaction) resetJournal(cmd command.ResetJournal) error {
	n, err := t.node(cmd.NodeID)
	if err != nil {
		return err
	}
	n.JournalEpoch, n.JournalSeq = "", 0
	for _, found := range cmd.Containers {
		c, ok := t.Container(found.ID)
		if !ok || c.NodeID != n.ID || c.Phase == model.PhaseReserved {
			continue
		}
		c.State = found.State
		if !c.State.Status.Running() {
			c.Execs = nil
		}
		t.touch(c.AccountID)
		if err := t.insert(tableContainers, &c); err != nil {
			return err
		}
	}
	return t.insert(tableNodes, &n)
}

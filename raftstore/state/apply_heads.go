package state

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// removedHead is a row of tableRemovedHeads.
type removedHead struct {
	ID string `json:"id"`
}

func (t *transaction) putHead(c command.PutHead) error {
	if err := checkKey("head id", c.Head.ID); err != nil {
		return err
	}
	if t.HeadRemoved(c.Head.ID) {
		return model.Errorf(model.KindForbidden, "head %s was removed from the data center; it can only join again as a new head", c.Head.ID)
	}
	return t.insert(tableHeads, &c.Head)
}

func (t *transaction) removeHead(c command.RemoveHead) error {
	if err := checkKey("head id", c.ID); err != nil {
		return err
	}
	if h, ok := t.Head(c.ID); ok {
		if err := t.delete(tableHeads, &h); err != nil {
			return err
		}
	}
	return t.insert(tableRemovedHeads, &removedHead{ID: c.ID})
}

// checkState has no effect of its own; see command.CheckState.
func (*transaction) checkState(command.CheckState) error { return nil }

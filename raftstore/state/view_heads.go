package state

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// Heads lists all heads.
func (v *View) Heads() []*model.Head { return list[model.Head](v.txn, tableHeads) }

// Head finds a head by id.
func (v *View) Head(id string) (model.Head, bool) {
	return first[model.Head](v.txn, tableHeads, indexID, id)
}

// HeadRemoved reports whether the head with that id has been removed, for ever.
func (v *View) HeadRemoved(id string) bool {
	return exists(v.txn, tableRemovedHeads, indexID, id)
}

// Level is how much of the log's language all heads know (command.Level). A rule
// that has come to mean something else asks it: heads that are being upgraded
// apply the same entries, some of them again after that.
func (v *View) Level() int {
	level := command.Level
	for _, h := range v.Heads() {
		level = min(level, h.LogLevel())
	}
	return level
}

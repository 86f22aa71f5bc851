package state

import "github.com/spearheadcloud/spearhead/model"

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

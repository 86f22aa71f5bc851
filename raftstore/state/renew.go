package state

import (
	"fmt"

	"github.com/spearheadcloud/spearhead/model"
)

// Adopt makes a backup's state fit into a data center that has gone on since:
// the heads are those of the present state, no node's journal is at a known
// place, and the index is the given one. Nobody else may use s yet.
func (s *State) Adopt(present *View, index uint64) error {
	t := s.begin(index)
	for _, table := range []string{tableHeads, tableRemovedHeads} {
		if err := t.txn.Clear(table); err != nil {
			return fmt.Errorf("cannot clear table %s: %w", table, err)
		}
		it, err := present.txn.Get(table, indexID)
		if err != nil {
			return fmt.Errorf("cannot read table %s: %w", table, err)
		}
		for row := it.Next(); row != nil; row = it.Next() {
			if err := t.insert(table, row); err != nil {
				return err
			}
		}
	}
	if err := t.forgetJournals(); err != nil {
		return err
	}
	return t.commit()
}

// Survive makes the state that of a data center whose other heads are lost for
// ever. What they alone knew is lost too, so that no node's journal is at a
// known place. Nobody else may use s yet.
func (s *State) Survive(survivor string) error {
	t := s.begin(s.View().Index())
	for _, h := range t.Heads() {
		if h.ID == survivor {
			continue
		}
		if err := t.delete(tableHeads, h); err != nil {
			return err
		}
		if err := t.insert(tableRemovedHeads, &removedHead{ID: h.ID}); err != nil {
			return err
		}
	}
	if err := t.forgetJournals(); err != nil {
		return err
	}
	return t.commit()
}

// forgetJournals lets the journal of each node begin anew.
func (t *transaction) forgetJournals() error {
	for _, row := range list[model.Node](t.txn, tableNodes) {
		n := *row
		n.JournalEpoch, n.JournalSeq = "", 0
		if err := t.insert(tableNodes, &n); err != nil {
			return err
		}
	}
	return nil
}

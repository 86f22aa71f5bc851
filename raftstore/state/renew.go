package state

import (
	"fmt"

	"github.com/spearheadcloud/spearhead/model"
)

// Adopt makes a backup's state fit into a data center that has gone on since:
// who takes part is not what it was. The heads are those of the present state,
// and whoever was removed since stays removed; tokens and the ring's keys are the
// present ones, so that no token is used twice and no old key comes back. No
// node's journal is at a known place, and the index is the given one. Nobody
// else may use s yet.
func (s *State) Adopt(present *View, index uint64) error {
	t := s.begin(index)
	defer t.txn.Abort()
	for _, h := range t.Heads() {
		if _, ok := present.Head(h.ID); ok {
			continue
		}
		if err := t.insert(tableRemovedHeads, &removedHead{ID: h.ID}); err != nil {
			return err
		}
	}
	replaced := []string{tableHeads, tableTokens}
	if exists(present.txn, tableKeyring, indexID) { // a new data center has none yet
		replaced = append(replaced, tableKeyring)
	}
	for _, table := range replaced {
		if err := t.txn.Clear(table); err != nil {
			return fmt.Errorf("cannot clear table %s: %w", table, err)
		}
	}
	for _, table := range append(replaced, tableRemovedHeads, tableDeparted) {
		if err := t.copyRows(present, table); err != nil {
			return err
		}
	}
	if err := t.forgetJournals(); err != nil {
		return err
	}
	return t.commit()
}

// copyRows adds the rows of another state to a table.
func (t *transaction) copyRows(from *View, table string) error {
	it, err := from.txn.Get(table, indexID)
	if err != nil {
		return fmt.Errorf("cannot read table %s: %w", table, err)
	}
	for row := it.Next(); row != nil; row = it.Next() {
		if err := t.insert(table, row); err != nil {
			return err
		}
	}
	return nil
}

// Survive makes the state that of a data center whose other heads are lost for
// ever. What they alone knew is lost too, so that no node's journal is at a
// known place. Nobody else may use s yet.
func (s *State) Survive(survivor string) error {
	t := s.begin(s.View().Index())
	defer t.txn.Abort()
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

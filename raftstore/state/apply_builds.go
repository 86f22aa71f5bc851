package state

import (
	"fmt"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) putBuilder(c command.PutBuilder) error {
	b := c.Builder
	if _, err := t.account(b.AccountID); err != nil {
		return err
	}
	n, err := t.node(b.NodeID)
	if err != nil {
		return err
	}
	if !n.Approved {
		return model.Errorf(model.KindConflict, "node %s is not approved", n.Name)
	}
	before, _ := t.Builder(b.AccountID)
	if before.NodeID != c.Before {
		return model.Errorf(model.KindConflict, "another node was chosen for the account's builds; try again")
	}
	// Its own addresses are free for it.
	if err := t.forgetBuilder(b.AccountID); err != nil {
		return err
	}
	if err := t.checkNICs(model.Container{AccountID: b.AccountID, NICs: b.NICs}); err != nil {
		return err
	}
	if err := t.checkCapacity(n, model.Resources{Memory: b.Memory}); err != nil {
		return err
	}
	t.touch(b.AccountID)
	return t.insertBuilder(&b)
}

// insertBuilder adds a builder and promises it its memory.
func (t *transaction) insertBuilder(b *model.Builder) error {
	if err := t.insert(tableBuilders, b); err != nil {
		return err
	}
	return t.promiseOf(b.NodeID, 0, model.Resources{Memory: b.Memory})
}

// forgetBuilder forgets where an account's images are built, and frees what was
// promised there.
func (t *transaction) forgetBuilder(accountID string) error {
	b, ok := t.Builder(accountID)
	if !ok {
		return nil
	}
	if err := t.promiseOf(b.NodeID, 0, model.Resources{Memory: -b.Memory}); err != nil {
		return err
	}
	return t.delete(tableBuilders, &b)
}

func loadBuilder(t *transaction, data []byte) error {
	b, err := decodeRow[model.Builder](data)
	if err != nil {
		return err
	}
	if exists(t.txn, tableBuilders, indexID, b.AccountID) {
		return fmt.Errorf("the builder of account %s is there twice", b.AccountID)
	}
	return t.insertBuilder(b)
}

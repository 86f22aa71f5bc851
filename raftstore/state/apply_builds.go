package state

import (
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
	return t.insert(tableBuilders, &b)
}

// forgetBuilder forgets where an account's images are built.
func (t *transaction) forgetBuilder(accountID string) error {
	b, ok := t.Builder(accountID)
	if !ok {
		return nil
	}
	return t.delete(tableBuilders, &b)
}

package state

import (
	"github.com/spearheadcloud/spearhead/raftstore/tables"

	"github.com/spearheadcloud/spearhead/model"
)

// The tables of who may join, of nodes that are gone, and of the ring's keys.
const (
	tableTokens   = "tokens"
	tableDeparted = "departed"
	tableKeyring  = "keyring"
)

func tokensTable() *tables.Table {
	return table(tableTokens, unique(indexID, func(t *model.Token) []string { return []string{t.ID} }))
}

func departedTable() *tables.Table {
	return table(tableDeparted, unique(indexID, func(d *departed) []string { return []string{d.ID} }))
}

// keyringTable has one row at most.
func keyringTable() *tables.Table {
	return table(tableKeyring, unique(indexID, func(*model.Keyring) []string { return []string{tableKeyring} }))
}

package state

import (
	"github.com/hashicorp/go-memdb"

	"github.com/spearheadcloud/spearhead/model"
)

// The tables of who may join, of nodes that are gone, and of the ring's keys.
const (
	tableTokens   = "tokens"
	tableDeparted = "departed"
	tableKeyring  = "keyring"
)

func tokensTable() *memdb.TableSchema {
	return table(tableTokens, unique(indexID, func(t *model.Token) []string { return []string{t.ID} }))
}

func departedTable() *memdb.TableSchema {
	return table(tableDeparted, unique(indexID, func(d *departed) []string { return []string{d.ID} }))
}

// keyringTable has one row at most.
func keyringTable() *memdb.TableSchema {
	return table(tableKeyring, unique(indexID, func(*model.Keyring) []string { return []string{tableKeyring} }))
}

package state

import "github.com/spearheadcloud/spearhead/model"

// Tokens lists the join tokens, used and expired ones too.
func (v *View) Tokens() []*model.Token { return list[model.Token](v.txn, tableTokens) }

// Token finds a join token by its id.
func (v *View) Token(id string) (model.Token, bool) {
	return first[model.Token](v.txn, tableTokens, indexID, id)
}

// Departed reports whether the node was removed from the data center: its
// certificate, which may be valid still, is to be refused.
func (v *View) Departed(nodeID string) bool {
	return exists(v.txn, tableDeparted, indexID, nodeID)
}

// Departures lists the ids of removed nodes.
func (v *View) Departures() []string {
	var ids []string
	for _, row := range list[departed](v.txn, tableDeparted) {
		ids = append(ids, row.ID)
	}
	return ids
}

// Keyring is what the heads have agreed on for the gossip ring.
func (v *View) Keyring() model.Keyring {
	k, _ := first[model.Keyring](v.txn, tableKeyring, indexID, tableKeyring)
	return k
}

// RemovedHeads lists the ids of removed heads.
func (v *View) RemovedHeads() []string {
	var ids []string
	for _, row := range list[removedHead](v.txn, tableRemovedHeads) {
		ids = append(ids, row.ID)
	}
	return ids
}

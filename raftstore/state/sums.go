package state

import (
	"github.com/spearheadcloud/spearhead/raftstore/tables"

	"github.com/spearheadcloud/spearhead/model"
)

// Tables of what follows from others: they are not in a snapshot, but worked
// out again when one is read.
const (
	tableHoldings    = "holdings"
	tableSized       = "sized"
	tableNodeChanges = "node_changes"
)

const indexChanged = "changed"

// holding is a row of tableHoldings: the sum over an account's containers.
type holding struct {
	AccountID  string
	Containers int
	Resources  model.Resources
}

// packageUse is a row of tableSized: how many containers have a package.
type packageUse struct {
	Package    string
	Containers int
}

// nodeChange is a row of tableNodeChanges: the entry that last changed a node,
// or what it has promised.
type nodeChange struct {
	NodeID string
	Index  uint64
}

func holdingsTable() *tables.Table {
	return table(tableHoldings, unique(indexID, func(h *holding) []string { return []string{h.AccountID} }))
}

func sizedTable() *tables.Table {
	return table(tableSized, unique(indexID, func(s *packageUse) []string { return []string{s.Package} }))
}

func nodeChangesTable() *tables.Table {
	return table(tableNodeChanges,
		unique(indexID, func(n *nodeChange) []string { return []string{n.NodeID} }),
		numbered(indexChanged, false, func(n *nodeChange) []byte { return indexKey(n.Index) }, indexArgument))
}

// hold adds a container to the sums of its account and its package; sign is 1
// or -1.
func (t *transaction) hold(c *model.Container, sign int) error {
	h, _ := first[holding](t.txn, tableHoldings, indexID, c.AccountID)
	h.AccountID = c.AccountID
	h.Containers += sign
	h.Resources = h.Resources.Add(times(sizeOf(c), sign))
	if err := t.keep(tableHoldings, &h, h.Containers > 0); err != nil {
		return err
	}
	s, _ := first[packageUse](t.txn, tableSized, indexID, c.Package)
	s.Package = c.Package
	s.Containers += sign
	if err := t.keep(tableSized, &s, s.Containers > 0); err != nil {
		return err
	}
	if t.Level() < levelPackagesStay {
		return t.forgetPackage(c.Package)
	}
	return nil
}

// levelPackagesStay is since when a package that was removed stays as long as
// any container has it. Before that it went whenever something changed of the
// last one.
const levelPackagesStay = 1

// forgetPackage deletes a package that was removed, once no container has it
// any more. The sums alone do not say that: they are taken and put back
// whenever something of a container changes.
func (t *transaction) forgetPackage(name string) error {
	p, ok := t.Package(name)
	if !ok || !p.Removed || t.Sized(name) > 0 {
		return nil
	}
	return t.delete(tablePackages, &p)
}

// sizeOf is what a container counts as among those of its account. Its disk
// counts whether its node can hold it to that or not.
func sizeOf(c *model.Container) model.Resources {
	r := c.Reserved
	r.Disk = max(r.Disk, c.Spec.Limits.Disk)
	return r
}

// keep writes a row that is still of use, and deletes one that is not.
func (t *transaction) keep(table string, row any, use bool) error {
	if use {
		return t.insert(table, row)
	}
	return t.delete(table, row)
}

func times(r model.Resources, sign int) model.Resources {
	s := int64(sign)
	return model.Resources{Memory: s * r.Memory, CPU: s * r.CPU, Disk: s * r.Disk}
}

// noteNode remembers whose node a row belongs to that changes.
func (t *transaction) noteNode(row any) {
	switch r := row.(type) {
	case *model.Node:
		t.turned[r.ID] = true
	case *promised:
		t.turned[r.NodeID] = true
	}
}

// writeNodeChanges records the nodes that changed, and whether one is gone.
func (t *transaction) writeNodeChanges(m *meta) error {
	for id := range t.turned {
		if exists(t.txn, tableNodes, indexID, id) {
			if err := t.insert(tableNodeChanges, &nodeChange{NodeID: id, Index: t.index}); err != nil {
				return err
			}
			continue
		}
		m.NodesGone = t.index
		if exists(t.txn, tableNodeChanges, indexID, id) {
			if err := t.delete(tableNodeChanges, &nodeChange{NodeID: id}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Holdings are how many containers an account has, reserved ones included, and
// what they may take together.
func (v *View) Holdings(accountID string) (containers int, r model.Resources) {
	h, _ := first[holding](v.txn, tableHoldings, indexID, accountID)
	return h.Containers, h.Resources
}

// Sized is the number of containers that have a package.
func (v *View) Sized(name string) int {
	s, _ := first[packageUse](v.txn, tableSized, indexID, name)
	return s.Containers
}

// NodesChanged are the ids of the nodes that changed after an entry, or whose
// promises did. It returns false if a node is gone since then or nobody knows:
// then all must be read again.
func (v *View) NodesChanged(after uint64) (ids []string, known bool) {
	if after == 0 || v.meta().NodesGone > after {
		return nil, false
	}
	it, err := v.txn.LowerBound(tableNodeChanges, indexChanged, after+1)
	if err != nil {
		return nil, false
	}
	for _, n := range collect[nodeChange](it) {
		ids = append(ids, n.NodeID)
	}
	return ids, true
}

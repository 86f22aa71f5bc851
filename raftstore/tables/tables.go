package tables

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/btree"
)

// degree is half of what a node of a tree holds at most. Larger nodes take less
// memory, and more time for each write, which copies some of them.
const degree = 16

// entry is one key of one row.
type entry struct {
	key string
	row any
}

type tree = btree.BTreeG[entry]

func less(a, b entry) bool { return a.key < b.key }

// DB is tables that change by transactions.
type DB struct {
	layout *layout
	now    atomic.Pointer[[]*tree] // the committed version; nobody changes it
	writer sync.Mutex              // held by the transaction that writes
}

// New returns empty tables. The error is one of the schema.
func New(schema []*Table) (*DB, error) {
	l, err := newLayout(schema)
	if err != nil {
		return nil, err
	}
	trees := make([]*tree, l.trees)
	for i := range trees {
		trees[i] = btree.NewG(degree, less)
	}
	db := &DB{layout: l}
	db.now.Store(&trees)
	return db, nil
}

// Txn returns the tables of this moment. With write they can be changed, until
// Commit or Abort, of which one must be called; another transaction that writes
// waits for it. One that only reads needs no end and may be used by any number
// of goroutines.
func (db *DB) Txn(write bool) *Txn {
	if !write {
		return &Txn{db: db, trees: *db.now.Load()}
	}
	db.writer.Lock()
	trees := slices.Clone(*db.now.Load())
	return &Txn{db: db, trees: trees, own: make([]bool, len(trees))}
}

// Txn is one version of the tables. What a transaction that writes has changed
// so far shows in its own look-ups.
type Txn struct {
	db    *DB
	trees []*tree
	own   []bool // trees that are this transaction's to change; nil if it only reads
}

var errReadOnly = errors.New("the transaction only reads, or has ended")

// Commit makes the changes the version that others see. It does nothing on a
// transaction that only reads or has ended.
func (x *Txn) Commit() {
	if x.own == nil {
		return
	}
	trees := x.trees
	x.db.now.Store(&trees)
	x.own = nil
	x.db.writer.Unlock()
}

// Abort forgets the changes. It does nothing on a transaction that only reads
// or has ended.
func (x *Txn) Abort() {
	if x.own == nil {
		return
	}
	x.trees, x.own = *x.db.now.Load(), nil
	x.db.writer.Unlock()
}

// writable is a tree that the transaction may change.
func (x *Txn) writable(i int) *tree {
	if !x.own[i] {
		x.trees[i] = x.trees[i].Clone()
		x.own[i] = true
	}
	return x.trees[i]
}

// Insert adds a row, or puts it in the place of the one with its primary key.
func (x *Txn) Insert(table string, row any) error {
	p, err := x.place(table)
	if err != nil {
		return err
	}
	id, err := p.id(row)
	if err != nil {
		return err
	}
	old, replaces := x.trees[p.first].Get(entry{key: id})
	for i, index := range p.table.Indexes {
		keys, err := index.entries(row, id)
		if err != nil {
			return err
		}
		if replaces && i > 0 {
			before, err := index.entries(old.row, id)
			if err != nil {
				return err
			}
			for _, k := range before {
				if !slices.Contains(keys, k) {
					x.writable(p.first + i).Delete(entry{key: k})
				}
			}
		}
		for _, k := range keys {
			x.writable(p.first + i).ReplaceOrInsert(entry{k, row})
		}
	}
	return nil
}

// Delete removes the row that has the primary key of row. It is an error if
// there is none.
func (x *Txn) Delete(table string, row any) error {
	p, err := x.place(table)
	if err != nil {
		return err
	}
	id, err := p.id(row)
	if err != nil {
		return err
	}
	old, ok := x.trees[p.first].Get(entry{key: id})
	if !ok {
		return fmt.Errorf("table %s does not have the row", table)
	}
	for i, index := range p.table.Indexes {
		keys, err := index.entries(old.row, id)
		if err != nil {
			return err
		}
		for _, k := range keys {
			x.writable(p.first + i).Delete(entry{key: k})
		}
	}
	return nil
}

// Clear removes all rows of a table.
func (x *Txn) Clear(table string) error {
	p, err := x.place(table)
	if err != nil {
		return err
	}
	for i := range p.table.Indexes {
		x.trees[p.first+i] = btree.NewG(degree, less)
		x.own[p.first+i] = true
	}
	return nil
}

// place finds a table to write to.
func (x *Txn) place(table string) (*place, error) {
	if x.own == nil {
		return nil, errReadOnly
	}
	return x.db.layout.place(table)
}

// id is a row's primary key.
func (p *place) id(row any) (string, error) {
	keys, err := p.table.Indexes[0].Keys(row)
	if err != nil {
		return "", err
	}
	if len(keys) != 1 {
		return "", fmt.Errorf("a row of table %s has %d primary keys", p.table.Name, len(keys))
	}
	return string(keys[0]), nil
}

// entries are the keys of a row as they are in the tree: where rows may share
// one, the row's primary key tells them apart.
func (x *Index) entries(row any, id string) ([]string, error) {
	keys, err := x.Keys(row)
	if err != nil {
		return nil, err
	}
	entries := make([]string, len(keys))
	for i, k := range keys {
		if x.Unique {
			entries[i] = string(k)
		} else {
			entries[i] = string(k) + id
		}
	}
	return entries, nil
}

package tables

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/btree"
)

// DB is tables that change by transactions.
type DB struct {
	layout *layout
	now    atomic.Pointer[version] // the committed one; nobody changes it
	writer sync.Mutex              // held by the transaction that writes
}

// version is all tables at one moment.
type version struct {
	rows forest[entry]     // a tree for each primary index, and for those that hold rows
	refs forest[reference] // a tree for each other index
}

// New returns empty tables. The error is one of the schema.
func New(schema []*Table) (*DB, error) {
	l, err := newLayout(schema)
	if err != nil {
		return nil, err
	}
	db := &DB{layout: l}
	db.now.Store(&version{newForest(l.rows, lessEntry), newForest(l.refs, lessReference)})
	return db, nil
}

// Txn returns the tables of this moment. With write they can be changed, until
// Commit or Abort, of which one must be called; another transaction that writes
// waits for it. One that only reads needs no end and may be used by any number
// of goroutines.
func (db *DB) Txn(write bool) *Txn {
	if !write {
		return &Txn{db: db, version: *db.now.Load()}
	}
	db.writer.Lock()
	now := db.now.Load()
	return &Txn{db: db, version: version{now.rows.fork(), now.refs.fork()}, writes: true}
}

// Txn is one version of the tables. What a transaction that writes has changed
// so far shows in its own look-ups.
type Txn struct {
	db *DB
	version
	writes bool
}

var errReadOnly = errors.New("the transaction only reads, or has ended")

// Commit makes the changes the version that others see. It does nothing on a
// transaction that only reads or has ended.
func (x *Txn) Commit() {
	if !x.writes {
		return
	}
	x.db.now.Store(&version{x.rows.seal(), x.refs.seal()})
	x.end()
}

// Abort forgets the changes. It does nothing on a transaction that only reads
// or has ended.
func (x *Txn) Abort() {
	if x.writes {
		x.end()
	}
}

// end leaves the transaction with what is committed, to read.
func (x *Txn) end() {
	x.version, x.writes = *x.db.now.Load(), false
	x.db.writer.Unlock()
}

// Insert adds a row, or puts it in the place of the one with its primary key.
// Indexes that do not hold rows and in which that one has the same keys are not
// touched.
func (x *Txn) Insert(table string, row any) error {
	p, id, err := x.place(table, row)
	if err != nil {
		return err
	}
	old, replaces := x.rows.trees[p.primary()].Get(entry{key: id})
	for i, index := range p.table.Indexes[1:] {
		refs, err := index.references(row, id)
		if err != nil {
			return err
		}
		var before []reference
		if replaces {
			if before, err = index.references(old.row, id); err != nil {
				return err
			}
		}
		for _, r := range before {
			if !slices.Contains(refs, r) {
				x.drop(index, p.trees[i+1], r)
			}
		}
		for _, r := range refs {
			if index.Whole {
				x.rows.writable(p.trees[i+1]).ReplaceOrInsert(entry{string(r), row})
			} else if !slices.Contains(before, r) {
				x.refs.writable(p.trees[i+1]).ReplaceOrInsert(r)
			}
		}
	}
	if replaces {
		id = old.key // one copy of it is enough
	}
	x.rows.writable(p.primary()).ReplaceOrInsert(entry{id, row})
	return nil
}

// drop takes what an index has of a row out of its tree.
func (x *Txn) drop(index *Index, tree int, r reference) {
	if index.Whole {
		x.rows.writable(tree).Delete(entry{key: string(r)})
	} else {
		x.refs.writable(tree).Delete(r)
	}
}

// Delete removes the row that has the primary key of row. It is an error if
// there is none.
func (x *Txn) Delete(table string, row any) error {
	p, id, err := x.place(table, row)
	if err != nil {
		return err
	}
	old, ok := x.rows.trees[p.primary()].Get(entry{key: id})
	if !ok {
		return fmt.Errorf("table %s does not have the row", table)
	}
	for i, index := range p.table.Indexes[1:] {
		refs, err := index.references(old.row, id)
		if err != nil {
			return err
		}
		for _, r := range refs {
			x.drop(index, p.trees[i+1], r)
		}
	}
	x.rows.writable(p.primary()).Delete(old)
	return nil
}

// Clear removes all rows of a table.
func (x *Txn) Clear(table string) error {
	if !x.writes {
		return errReadOnly
	}
	p, err := x.db.layout.place(table)
	if err != nil {
		return err
	}
	for i, index := range p.table.Indexes {
		if i == 0 || index.Whole {
			x.rows.replace(p.trees[i], btree.NewG(degree, lessEntry))
		} else {
			x.refs.replace(p.trees[i], btree.NewG(degree, lessReference))
		}
	}
	return nil
}

// place finds where a row is to be written, and its primary key.
func (x *Txn) place(table string, row any) (*place, string, error) {
	if !x.writes {
		return nil, "", errReadOnly
	}
	p, err := x.db.layout.place(table)
	if err != nil {
		return nil, "", err
	}
	keys, err := p.table.Indexes[0].Keys(row)
	switch {
	case err != nil:
		return nil, "", err
	case len(keys) != 1 || len(keys[0]) > longestID:
		return nil, "", fmt.Errorf("a row of table %s has %d primary keys, or one that is too long", p.table.Name, len(keys))
	}
	return p, string(keys[0]), nil
}

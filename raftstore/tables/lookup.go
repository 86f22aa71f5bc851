package tables

import (
	"fmt"
	"strings"

	"github.com/google/btree"
)

// Prefix after an index's name makes a look-up find the rows whose keys begin
// with what the arguments stand for.
const Prefix = "_prefix"

// First returns the first row that Get finds, nil if there is none.
func (x *Txn) First(table, index string, args ...any) (any, error) {
	it, err := x.Get(table, index, args...)
	if err != nil {
		return nil, err
	}
	return it.Next(), nil
}

// Get finds the rows with the key that args stand for, in the order of the
// index, or all rows if there are no args.
func (x *Txn) Get(table, index string, args ...any) (*Iterator, error) {
	name, byPrefix := strings.CutSuffix(index, Prefix)
	it, i, err := x.find(table, name)
	if err != nil || len(args) == 0 {
		return it, err
	}
	var key []byte
	switch {
	case !byPrefix:
		key, err = i.Exact(args...)
		it.exact = i.Unique
	case i.Prefix == nil:
		err = fmt.Errorf("index %s of table %s is not searched by prefixes", name, table)
	default:
		key, err = i.Prefix(args...)
	}
	if err != nil {
		return nil, err
	}
	it.next, it.prefix = string(key), string(key)
	return it, nil
}

// LowerBound finds the rows from the key on that args stand for.
func (x *Txn) LowerBound(table, index string, args ...any) (*Iterator, error) {
	it, i, err := x.find(table, index)
	if err != nil {
		return nil, err
	}
	key, err := i.Exact(args...)
	it.next = string(key)
	return it, err
}

// find returns what goes through all of an index.
func (x *Txn) find(table, index string) (*Iterator, *Index, error) {
	p, err := x.db.layout.place(table)
	if err != nil {
		return nil, nil, err
	}
	i, ok := p.indexes[index]
	if !ok {
		return nil, nil, fmt.Errorf("table %s has no index %s", table, index)
	}
	it := &Iterator{table: x.rows.trees[p.primary()], want: 1}
	switch {
	case p.table.Indexes[i].Whole && i > 0:
		it.table, it.whole = x.rows.trees[p.trees[i]], true
	case i > 0:
		it.index = x.refs.trees[p.trees[i]]
	}
	return it, p.table.Indexes[i], nil
}

// Iterator gives the rows that a look-up has found, one by one. It is used by
// one goroutine, and in a transaction that writes not after further writes.
type Iterator struct {
	table  *btree.BTreeG[entry]
	index  *btree.BTreeG[reference] // nil: it goes by an index that holds the rows
	whole  bool                     // which is not the primary one: its keys are references
	next   string                   // to go on from
	prefix string                   // with which all keys begin
	exact  bool                     // only prefix itself is a key that is looked for
	done   bool
	want   int // rows to read at the next visit of the tree
	rows   []any
}

// mostAtOnce is how many rows are read in one visit of a tree.
const mostAtOnce = 512

// Next returns the next row, nil if there is none.
func (it *Iterator) Next() any {
	if len(it.rows) == 0 && !it.done {
		it.read()
	}
	if len(it.rows) == 0 {
		return nil
	}
	row := it.rows[0]
	it.rows = it.rows[1:]
	return row
}

// read visits the tree for more rows: first for one, which is often all that
// is wanted, then for ever more.
func (it *Iterator) read() {
	it.rows = make([]any, 0, it.want)
	last := ""
	if it.index == nil {
		last = it.readRows()
	} else {
		last = it.readReferences()
	}
	it.done = len(it.rows) < it.want || it.exact
	it.next = last + "\x00" // the smallest after it
	it.want = min(8*it.want, mostAtOnce)
}

func (it *Iterator) readRows() (last string) {
	it.table.AscendGreaterOrEqual(entry{key: it.next}, func(e entry) bool {
		if !strings.HasPrefix(e.key, it.prefix) {
			return false
		}
		key := e.key
		if it.whole {
			key = reference(key).key()
		}
		if !it.wants(key) {
			return it.whole // the beginning of a primary key goes on where a shorter key ends
		}
		it.rows, last = append(it.rows, e.row), e.key
		return len(it.rows) < it.want
	})
	return last
}

func (it *Iterator) readReferences() (last string) {
	it.index.AscendGreaterOrEqual(reference(it.next), func(r reference) bool {
		if !strings.HasPrefix(string(r), it.prefix) {
			return false
		}
		key, id := r.split()
		if !it.wants(key) {
			return true // as in readRows
		}
		if e, ok := it.table.Get(entry{key: id}); ok {
			it.rows, last = append(it.rows, e.row), string(r)
		}
		return len(it.rows) < it.want
	})
	return last
}

// wants reports whether a key is one that is looked for.
func (it *Iterator) wants(key string) bool {
	return strings.HasPrefix(key, it.prefix) && (!it.exact || key == it.prefix)
}

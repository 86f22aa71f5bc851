package tables

import (
	"fmt"
	"strings"
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
	t, i, err := x.find(table, name)
	if err != nil {
		return nil, err
	}
	it := &Iterator{tree: t, want: 1}
	if len(args) == 0 {
		return it, nil
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
	t, i, err := x.find(table, index)
	if err != nil {
		return nil, err
	}
	key, err := i.Exact(args...)
	if err != nil {
		return nil, err
	}
	return &Iterator{tree: t, next: string(key), want: 1}, nil
}

func (x *Txn) find(table, index string) (*tree, *Index, error) {
	p, err := x.db.layout.place(table)
	if err != nil {
		return nil, nil, err
	}
	i, ok := p.indexes[index]
	if !ok {
		return nil, nil, fmt.Errorf("table %s has no index %s", table, index)
	}
	return x.trees[p.first+i], p.table.Indexes[i], nil
}

// Iterator gives the rows that a look-up has found, one by one. It is used by
// one goroutine, and in a transaction that writes not after further writes.
type Iterator struct {
	tree   *tree
	next   string // key to go on from
	prefix string // with which all keys begin
	exact  bool   // only prefix itself is a key that is looked for
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
	it.tree.AscendGreaterOrEqual(entry{key: it.next}, func(e entry) bool {
		if !strings.HasPrefix(e.key, it.prefix) || it.exact && e.key != it.prefix {
			return false
		}
		it.rows, last = append(it.rows, e.row), e.key
		return len(it.rows) < it.want
	})
	it.done = len(it.rows) < it.want || it.exact
	it.next = last + "\x00" // the smallest key after it
	it.want = min(8*it.want, mostAtOnce)
}

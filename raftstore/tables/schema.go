package tables

import "fmt"

// Table is a table's name and indexes, of which the first is the primary one:
// unique, with exactly one key for each row.
type Table struct {
	Name    string
	Indexes []*Index
}

// Index finds and sorts rows by keys, byte by byte.
type Index struct {
	Name string
	// Unique says that no two rows share a key. It is not checked: of two that
	// do, one is found.
	Unique bool
	// Keys are a row's; none leaves it out.
	Keys func(row any) ([][]byte, error)
	// Exact is the key that arguments of a look-up stand for, and Prefix what
	// the keys begin with that they stand for. A nil Prefix allows none.
	Exact  func(args ...any) ([]byte, error)
	Prefix func(args ...any) ([]byte, error)
}

// layout is where a schema's indexes are among the trees of a version.
type layout struct {
	tables     map[string]*place
	rows, refs int // how many trees there are of each kind
}

// place is a table's part of a layout.
type place struct {
	table   *Table
	rows    int            // tree of the primary index
	refs    int            // that of the first other index; the rest follow
	indexes map[string]int // by name: where it is in table.Indexes
}

func newLayout(schema []*Table) (*layout, error) {
	l := &layout{tables: map[string]*place{}}
	for _, t := range schema {
		if _, twice := l.tables[t.Name]; twice {
			return nil, fmt.Errorf("table %s is there twice", t.Name)
		}
		if len(t.Indexes) == 0 || !t.Indexes[0].Unique {
			return nil, fmt.Errorf("table %s has no primary index", t.Name)
		}
		p := &place{table: t, rows: l.rows, refs: l.refs, indexes: map[string]int{}}
		for i, index := range t.Indexes {
			if _, twice := p.indexes[index.Name]; twice {
				return nil, fmt.Errorf("index %s of table %s is there twice", index.Name, t.Name)
			}
			p.indexes[index.Name] = i
		}
		l.tables[t.Name] = p
		l.rows++
		l.refs += len(t.Indexes) - 1
	}
	return l, nil
}

func (l *layout) place(table string) (*place, error) {
	p, ok := l.tables[table]
	if !ok {
		return nil, fmt.Errorf("there is no table %s", table)
	}
	return p, nil
}

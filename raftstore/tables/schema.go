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
	// Whole says that the index holds the rows themselves, as the primary one
	// does. A look-up of many rows is quick then, and each change of a row is
	// one of the index.
	Whole bool
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
	trees   []int          // by index: its tree among those of its kind
	indexes map[string]int // by name: where it is in table.Indexes
}

// primary is the tree of the primary index.
func (p *place) primary() int { return p.trees[0] }

func newLayout(schema []*Table) (*layout, error) {
	l := &layout{tables: map[string]*place{}}
	for _, t := range schema {
		if _, twice := l.tables[t.Name]; twice {
			return nil, fmt.Errorf("table %s is there twice", t.Name)
		}
		if len(t.Indexes) == 0 || !t.Indexes[0].Unique {
			return nil, fmt.Errorf("table %s has no primary index", t.Name)
		}
		p := &place{table: t, indexes: map[string]int{}}
		for i, index := range t.Indexes {
			if _, twice := p.indexes[index.Name]; twice {
				return nil, fmt.Errorf("index %s of table %s is there twice", index.Name, t.Name)
			}
			p.indexes[index.Name] = i
			kind := &l.refs
			if i == 0 || index.Whole {
				kind = &l.rows
			}
			p.trees = append(p.trees, *kind)
			*kind++
		}
		l.tables[t.Name] = p
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

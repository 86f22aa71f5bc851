package state

import "github.com/spearheadcloud/spearhead/raftstore/tables"

// prefix after an index's name makes a look-up find keys that begin with the
// arguments.
const prefix = tables.Prefix

// The functions below hide that tables deal in any. Their errors could only
// come from a name of a table or index that is not in the schema, which the
// tests of each accessor would show; a missing row is no error.

func first[T any](txn *tables.Txn, table, index string, args ...any) (T, bool) {
	var zero T
	row, err := txn.First(table, index, args...)
	if err != nil || row == nil {
		return zero, false
	}
	return *row.(*T), true
}

func exists(txn *tables.Txn, table, index string, args ...any) bool {
	row, err := txn.First(table, index, args...)
	return err == nil && row != nil
}

func list[T any](txn *tables.Txn, table string) []*T {
	return match[T](txn, table, indexID)
}

func match[T any](txn *tables.Txn, table, index string, args ...any) []*T {
	it, err := txn.Get(table, index, args...)
	if err != nil {
		return nil
	}
	return collect[T](it)
}

func collect[T any](it *tables.Iterator) []*T {
	var rows []*T
	for row := it.Next(); row != nil; row = it.Next() {
		rows = append(rows, row.(*T))
	}
	return rows
}

// Package tables keeps rows in memory with ordered indexes, so that a reader
// has one moment's picture of all of them for as long as it likes and waits for
// nobody, while one writer goes on.
//
// Each index is a copy-on-write B-tree (github.com/google/btree) of keys and
// pointers to rows. A transaction that writes copies the nodes on its way and
// nothing else; to commit it is to exchange one pointer. Rows are never copied:
// whoever has given one to Insert must not change it any more.
//
// An index entry takes about a hundred bytes and two objects, a quarter of what
// it takes in a radix tree whose every node can be watched; see
// docs/decisions/0011-indexes-are-b-trees.md.
package tables

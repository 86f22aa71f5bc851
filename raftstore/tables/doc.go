// Package tables keeps rows in memory with ordered indexes, so that a reader
// has one moment's picture of all of them for as long as it likes and waits for
// nobody, while one writer goes on.
//
// A table's rows are in a copy-on-write B-tree (github.com/google/btree) by
// their primary keys. Each other index is one of references: a key and the
// primary key of a row that has it, unless it is said to hold the rows, for long
// lists. So a row that changes is written once, in those indexes of which it
// changes its keys, and in those that hold it. A transaction that writes
// copies the nodes on its way and nothing else; to commit it is to exchange one
// pointer. Rows are never copied: whoever has given one to Insert must not
// change it any more.
//
// An entry of an index takes some eighty bytes and one object, where a radix
// tree whose every node can be watched takes four times as much; see
// docs/decisions/0011-indexes-are-b-trees.md.
package tables

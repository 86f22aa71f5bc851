// Package journal streams what happened on a node to the heads: every entry,
// in order, once it is on disk. The entries themselves are kept by package
// state, in the same file as the records that they tell of.
//
// Entries stay until a head has acknowledged them, by asking for those after
// them. None is dropped before: a node that is cut off keeps some hundred
// bytes for each thing that happens, until it is reached again.
package journal

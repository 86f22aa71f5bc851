package tables

import (
	"slices"

	"github.com/google/btree"
)

// degree is half of what a node of a tree holds at most. Larger nodes take less
// memory, and more time for each write, which copies some of them.
const degree = 16

// forest is the trees of one kind in a version, or in a transaction that writes.
type forest[T any] struct {
	trees []*btree.BTreeG[T]
	own   []bool // trees that are the transaction's to change
}

func newForest[T any](n int, less btree.LessFunc[T]) forest[T] {
	trees := make([]*btree.BTreeG[T], n)
	for i := range trees {
		trees[i] = btree.NewG(degree, less)
	}
	return forest[T]{trees: trees}
}

// fork returns a forest that can be changed without changing f.
func (f *forest[T]) fork() forest[T] {
	return forest[T]{slices.Clone(f.trees), make([]bool, len(f.trees))}
}

// writable is a tree that may be changed.
func (f *forest[T]) writable(i int) *btree.BTreeG[T] {
	if !f.own[i] {
		f.replace(i, f.trees[i].Clone())
	}
	return f.trees[i]
}

func (f *forest[T]) replace(i int, t *btree.BTreeG[T]) { f.trees[i], f.own[i] = t, true }

// seal returns the forest for those that only read.
func (f *forest[T]) seal() forest[T] { return forest[T]{trees: f.trees} }

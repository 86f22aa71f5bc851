// Package heaproom bounds how much memory a program takes beyond what it uses.
// Go lets the heap grow in proportion between two collections, which is right
// for a small one. What a large one holds is mostly state that stays, so that
// the same room as for a middling one is enough for it.
package heaproom

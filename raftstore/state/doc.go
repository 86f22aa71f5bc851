// Package state is the replicated state of a data center as a pure value:
// tables, the rules by which commands change them, snapshots and a hash.
//
// State has one writer, which applies commands in the log's order, and any
// number of readers, each with a View: a frozen moment that costs nothing to
// take and never waits. Nothing here asks the clock, draws a random number or
// does I/O, so that the same commands give the same state on every head.
//
// Rows are shared by all views and must never be changed by who reads them.
// What a view returns by value may be changed as far as it is not reached
// through a slice, a map or a pointer.
package state

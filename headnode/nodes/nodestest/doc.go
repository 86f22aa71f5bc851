// Package nodestest is a node in memory, for tests of what a head does with
// nodes: it keeps the promises of wire.Agent about journals and repetition,
// and runs nothing.
package nodestest

// Package placement chooses the node of a new container.
//
// It is pure: a snapshot of the nodes and a request go in, a decision with its
// reasons comes out, the same for the same input on any head. Filters take
// nodes out, each counted; weighers order those that are left. A refusal tells
// the counts and never the names of nodes or of other accounts.
//
// Cost is one pass over the nodes without allocation per node, so ten thousand
// of them take about a millisecond.
package placement

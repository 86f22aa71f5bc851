// Package placement chooses the node of a new container.
//
// It is pure: the nodes and a request go in, a decision with its reasons comes
// out, the same for the same input on any head and in any order of the nodes.
// Reasons take nodes out, each counted; a score orders those that are left. A
// refusal tells the counts and never the names of nodes or of other accounts.
//
// A Fleet holds the nodes flat and side by side, and is kept up to date node
// by node, so that a decision among ten thousand of them is one pass over
// memory that is in the cache.
package placement

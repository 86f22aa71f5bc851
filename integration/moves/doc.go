// Package moves tests containers, and volumes alone, that move between the nodes
// of a rack, as operators and docker see it, on directories and on ZFS: while
// agents and the head are killed, and when a node is drained.
package moves

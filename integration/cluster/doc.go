// Package cluster tests what a data center of three heads and three nodes
// promises while machines are killed, frozen, cut off and booted: docs/guarantees.md
// names the promises, and tests are named by them. All of it is done with the
// docker client, or with its API where many calls a second are needed.
package cluster

// Package model holds the nouns of a Spearhead data center: accounts,
// containers, images, networks, nodes, packages, and the kinds of error that
// every layer understands.
//
// Everything may import model; model imports only the standard library. Its
// types are plain data that cross the wire and the raft log as JSON, so a
// field may be added but never renamed or given another meaning. Nothing here
// does I/O.
package model

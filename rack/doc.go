// Package rack builds a small data center on one machine: hosts made of
// network namespaces on an underlay bridge, each running the same binary with
// the same configuration as a real machine. `spearhead dev` and the
// integration tests stand on it.
//
// Everything a rack makes is recorded in its directory before it is made, so
// that Down leaves nothing and Up repairs whatever a crash left half-built.
// The daemons are not children: they run on when the caller ends.
package rack

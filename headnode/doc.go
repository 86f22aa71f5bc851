// Package headnode is a head: one of the machines that hold the data center's
// names and decisions and answer its APIs.
//
// Init makes a new data center's first head: certificates, gossip key and
// identity. Run assembles and runs it: the replicated store, gossip, the
// Docker endpoint over TLS, the operator's socket, and, while this head leads,
// the loops that only one head may run (leader.go). The use cases live one
// folder a noun below; nothing here decides anything about containers. See
// DESIGN.md.
package headnode

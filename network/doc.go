// Package network gives containers their network on one node.
//
// A container has a network namespace of its own, pinned by a mount under the
// driver's run directory, so that it outlives the agent. Each of its NICs is a
// veth whose outer end is a port of a bridge. The bridge lives in a namespace
// of its own, one for each physical segment (NIC tag and VLAN), together with
// the node's NIC as uplink: what containers say to each other and to the
// outside never crosses the node's own network stack. See DESIGN.md.
//
// Everything is idempotent and found again after a crash: a sandbox directory
// is made before anything else of a container and goes last, so the list of
// directories is the list of what may exist.
package network

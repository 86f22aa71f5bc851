// Package network gives containers their network on one node.
//
// A container has a network namespace of its own, pinned by a mount under the
// driver's run directory, so that it outlives the agent. Each of its NICs is a
// veth whose outer end is a port of a bridge. The bridge lives in a namespace
// of its own, a segment, together with what leads to other machines: the
// node's NIC for an external network, a VXLAN tunnel for a fabric. What
// containers say to each other never crosses the node's own network stack, and
// networks of different accounts never meet, whatever addresses they have.
//
// Driver.Attach makes a container's NICs what they should be, Driver.Detach
// takes them away, and Driver.SetNetworks tells who else there is: where NICs of
// fabrics are, who may talk to whom, and who has which name. See DESIGN.md.
//
// Everything is idempotent and found again after a crash: a sandbox directory
// is made before anything else of a container and goes last, so the list of
// directories is the list of what may exist.
package network

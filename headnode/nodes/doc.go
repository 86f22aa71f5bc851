// Package nodes is the agents as a head sees them: over the wire, in the same
// process (tests), or unreachable, all behind wire.Agent.
//
// The leader also follows each node's journal: one goroutine a node reads it,
// commits it in batches, and acknowledges it by asking for what follows. The
// stream's signs of life say whether the node is connected. Silence makes a
// node unknown, never dead: nothing is done to its containers.
package nodes

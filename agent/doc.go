// Package agent is the daemon of a compute node: the only thing that touches
// the node's kernel, its storage and its interfaces. Heads tell it over the
// wire what containers they have promised to the node; it makes them with the
// drivers (runtime, image, network, zfs), which know nothing of each other, and
// tells in its journal what became of them. DESIGN.md says how it holds
// together and what survives which crash.
package agent

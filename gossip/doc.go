// Package gossip tells the machines of a data center of each other: who is
// there, what it is and where it serves. It wraps hashicorp/memberlist, always
// encrypted and labelled with the data center, so that two data centers on one
// wire do not mix. How loaded a node is, it tells the heads, and nobody else.
//
// What gossip says is a hint. Silence is not death: a machine that gossip
// calls gone may only be cut off or busy, and nothing is stopped or started
// because of it. What a node has promised is in the replicated state, not
// here. Whoever holds the key is believed, so that nothing that needs proof
// (which machine has which role) may rest on gossip: connections prove that by
// certificates of package pki.
package gossip

// Package raftstore keeps the replicated state of a data center: it proposes
// commands to the other heads by raft (hashicorp/raft), applies what they
// agree on to raftstore/state, and keeps log, votes and snapshots on disk.
//
// Writes go to the leader; every head reads its own state with View. A 2xx
// that follows from a successful Propose means that a quorum of heads has the
// command on its disk.
//
// A disk that hangs, lies or has been damaged is worse for raft than one that
// is gone, so that the store (a) gives up on a write that takes too long and
// leaves the lead, (b) checks a checksum of each log entry, and (c) keeps
// beside the database a marker of how far this head has come, and refuses to
// start with a database that knows less. DESIGN.md tells why.
package raftstore

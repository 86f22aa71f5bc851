// Package standing is a node's standing in its data center: whether it is a
// member whom the leader attends to, and what follows when it is not.
//
// The leader's calls carry a lease. An answer has a mark; when a mark comes
// back, the lease is good for StopAfter from the moment at which that answer
// was made: as late as then the leader heard from this node. When the lease is
// over the node is fenced. It stops the containers whose owners asked to have
// them started elsewhere in that case, and does not start them again before
// the next lease, so that no container runs on two nodes. The leader waits for
// longer than that before it starts them elsewhere.
//
// The lease counts by the time since the machine's boot, suspension included,
// so that no change of the clock shifts it, and it is kept over restarts of
// the agent. After a boot there is none until the leader gives one. The
// certificates of removed machines are refused, the gossip keys and the node's
// certificate replaced, as the leader says.
package standing

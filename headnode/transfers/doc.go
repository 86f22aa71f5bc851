// Package transfers moves containers from node to node, with their files,
// volumes, names and addresses, and volumes that no container mounts: what an
// operator asks for, one by one or by draining a node.
//
// How far a move has come is in the replicated state, recorded before each step
// (see model.Transfer). The leader goes the way; whoever leads next goes on
// where it was:
//
//	asked      the leader chooses a node, which is promised to the container
//	copying    the new node fetches the files while the container runs, again
//	           and again until little has changed since
//	stopping   the old node stops it, and starts it for nobody; the rest is fetched
//	(complete) one entry makes it the new node's, of the next generation
//	           the new node makes it of what it has, and starts it if it ran
//	undoing    the old node starts it again if it ran; it stays
//
// Containers that share volumes or namespaces go this way together, as if they
// were one: model.Transfer.With lists them, the first of them carries the way,
// and each entry is for all. They stop and start in an order that lets each join
// those in whose namespaces it lives.
//
// Until that entry the old node has the container and what the new one has is
// to be thrown away; after it, the other way round. So whatever is killed when,
// one of the two is the container. A copy that is not is removed by its
// generation, by the leader, as often as it takes.
//
// A volume alone has a shorter way (see model.VolumeMove):
//
//	copying    the new node, which was promised, fetches it; nothing mounts it
//	settling   one entry has made it the new node's; its offer and the snapshots
//	           that the move took go
//	undoing    it stays, and the same goes at the old node
//
// The copy that is not the volume is removed after that, by package volumes.
//
// A node that does not answer is waited for, for patience; then the way is
// undone, or after that entry gone to its end when the node is back.
package transfers

// Package agree finds out when the replicated state of a head is not that of
// the others any more, by a defect or by broken memory.
//
// Now and then the leader lets all heads agree on an entry as of which each
// works out a hash of its state, and each asks the others for theirs. A head
// whose state differs from that of a majority ends its part of the replicated
// store, loudly: what it would answer is not what the others promise. Heads of
// different versions are not compared, because a newer one may write down the
// same state in another way.
package agree

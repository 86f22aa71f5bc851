// Package quorum lets any head write and read as if it led. Store is a head's
// raftstore.Store whose Propose reaches whichever head leads and repeats, under
// the same request id, what was not answered; and whose Fresh returns once this
// head has applied all that was agreed on before, by the word of the leader and
// a quorum of heads behind it.
//
// Nothing here decides anything: what only the leader may do is written
// against the raftstore.Store itself, whose Propose fails when this head does
// not lead.
package quorum

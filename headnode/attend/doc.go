// Package attend is how the leading head keeps nodes members of the data
// center, and what it does about nodes that are gone.
//
// Every few seconds each approved node is told what members know (who was
// removed, the gossip keys, its own new certificate) and asked how it stands;
// see wire.Membership. With that goes its lease: a mark that the leader was
// given by the node is sent back only after a quorum of heads has confirmed
// that this head still led when it had the mark already. A node whose lease is
// over stops what may be started elsewhere. So a leader that has had no answer
// for longer than that may start it elsewhere: a predecessor's leases, and its
// own, are over. After a term has begun it waits for the whole time, since it
// cannot know when its predecessor was answered.
//
// A node that comes back first loses what has moved, and gets a lease when it
// holds nothing of that any more. An operator's word that a node is lost takes
// the place of the wait.
package attend

// Package images is what can be done with images: pulling, naming, finding,
// removing, pruning, and logging in to registries.
//
// Names belong to accounts, bytes are shared. An account has an image if and
// only if it has a name for it, and it gets a name only by a pull that its own
// credentials were good for at the registry, whether or not some node held the
// bytes already, or by making an image of its own container. An image that was
// made without a name has its id for one, which is shown to nobody. When no account names an image any more, the nodes that hold
// it forget it. The bytes themselves never touch a head.
package images

// Package images is what can be done with images: pulling, pushing, naming,
// finding, saving, loading, importing, removing, pruning, and asking registries.
//
// Names belong to accounts, bytes are shared. An account has an image if and
// only if it has a name for it, and it gets a name only by a pull that its own
// credentials were good for at the registry, whether or not some node held the
// bytes already, by sending all of it, or by making an image of its own
// container. An image that was made without a name, or whose last name has moved
// on to another image, has its id for one, which is shown to nobody (own.go).
// When no account names an image any more, the nodes that hold it forget it.
//
// The leader has nodes copy what accounts name until enough of them hold it
// (spread.go), and those make room whose disks are nearly full (relieve.go).
//
// Nodes do the work: a pull, a load and an import go to the least loaded, a push
// and a save to one that holds the image (holder.go). What they send passes
// through a head and is not kept. Only docker login is done by the head itself
// (login*.go). Credentials are handed on with the request and are in no error,
// log or record.
package images

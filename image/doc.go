// Package image keeps images on a node and makes containers' root file
// systems from them.
//
// A Store holds blobs in containerd's content store and layers in a
// snapshots.Snapshotter, overlay or zfs, under one containerd namespace: bytes
// are shared by all accounts, and whose names point at which image is the
// heads' affair. An image is known here by its id, the digest of its
// configuration, and by nothing else.
//
// Pull fetches from any registry that speaks the OCI distribution
// specification or Docker's registry API v2 (schema 2). Layers are hostile
// input: package unpack applies them inside of their snapshot and nowhere
// else, within limits. They are unpacked while they come, where nobody sees it:
// a layer gets its name when all of it is here and has the digests that manifest
// and configuration say. Push sends an image byte for byte as it is held; layers
// remember the repositories they are in, so that a registry can take them from
// there. Resolve, Tags and Search only ask. All of them speak through package
// registry, which decides what may be reached, and with credentials that live
// as long as the call.
//
// Copy takes an image from other nodes, as if they were a registry that has it:
// each part from whoever gives it, and on from the next one where a node breaks
// off. Blob is the other side of that. Shed makes room: packed layers are needed
// to copy and to push, not to run, so a node can do without those that others
// have.
//
// Save gives images as one archive, Load takes such archives, also those of
// older Dockers, and Import makes an image of an archive of a root. Blobs stay
// byte for byte what they are, so that digests survive the way through an
// archive. An archive gives its sender what is in it and nothing else: that the
// node holds a blob or a layer helps only who has its bytes.
//
// The root of a container is a writable layer over the image's snapshots: an
// overlay mount whose upper directory lies in the state directory or on a
// dataset of its own, or a clone of the image's last dataset. Roots outlive
// the process; all that is needed to find them again is on disk before they
// are used.
//
// Changes and Size tell what a container did to its root, and Commit makes an
// image of it: package delta compares the root with its image, and the
// differences become one more layer, which is unpacked like one that was pulled.
package image

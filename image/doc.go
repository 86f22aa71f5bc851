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
// else, within limits.
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

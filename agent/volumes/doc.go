// Package volumes keeps the volumes of a node: file trees that outlive the
// containers which mount them. Where the node has ZFS each is a dataset, held
// to its size by refquota, with snapshots and clones; elsewhere each is a
// directory, which has none of these.
//
// A volume has its id for its name and this in it:
//
//	data      what containers see
//	filling   is there while an image's files are copied into data
//
// Every method may be repeated, and a crash in any of them leaves a volume, or
// something that Open clears away. What is to be there the heads know: they
// record a volume before they ask a node for it.
package volumes

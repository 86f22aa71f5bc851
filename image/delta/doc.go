// Package delta finds out in what the tree of a container differs from that of
// its image.
//
// The container may run, and change its tree, meanwhile: both trees are walked
// by descriptors, no link is followed, and what vanishes is left out. A tree is
// either the upper directory of an overlay, which holds the differences alone
// (the kernel's Documentation/filesystems/overlayfs.rst says in what form), or
// a clone of the image's, which is compared as a whole.
package delta

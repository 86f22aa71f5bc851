// Package tarfs moves files between directory trees and tar archives, when
// neither can be trusted.
//
// A Tree resolves names by the kernel, openat2(2) with RESOLVE_IN_ROOT, so that
// neither dots nor links lead out of it. A Maker makes the files that an
// archive describes, a Packer describes the files of a tree. Both expect that
// somebody else changes the tree at the same time: what they have found or made
// they use by its descriptor, and no link in a last part is followed. Only
// directories and regular files are ever opened; to open a device or a FIFO
// could do anything, or wait for ever.
//
// The format is POSIX.1-2001 (pax); extended attributes are records that begin
// with SCHILY.xattr., as all widespread programs have it.
package tarfs

// Package archive reaches the files of a container as Docker's archive calls
// see them: it describes one, reads a tree as a tar archive, and unpacks an
// archive into a directory.
//
// A container is hostile: while it is looked at it may swap any name for a
// link. So a Root is a descriptor, every path is resolved below it by the
// kernel (openat2(2), RESOLVE_IN_ROOT), and what was resolved is used by its
// descriptor and never by its name again. Nothing is opened before it is known
// to be a directory or a regular file. The kernel's own file systems, such as
// /proc, look empty: they would answer the node and not the container.
//
// Errors have the kinds of package model and Docker's words.
package archive

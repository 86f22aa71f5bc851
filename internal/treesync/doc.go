// Package treesync makes a directory tree what another one on another machine
// is, also while programs change that one: once with all that is in it, then
// again and again with what has changed since, and at last, when nothing
// changes any more, so that both are equal.
//
// The side that has the tree answers two questions. List tells of every file: a
// line of JSON each, with a version that changes whenever anything of the file
// does, and a last line that says that it was all. Read tells the content of
// some files in blocks, without those that the asker has already, which it
// names by hashes. What was broken off at any byte is asked for anew, and
// nothing that has arrived is sent again.
//
// A version is inode and time of the last change (ctime), which no program can
// choose. One that is so fresh that a later change could have the same time is
// no version: then the content is compared. A file that is mapped into memory
// gets its time when a page of it is first written to; List has all pages
// written out before it looks, so that a later write gives a new time; of a tree
// that nobody uses any more it need not.
//
// All of a file comes along: type, owner, mode, times, hard links, holes and
// extended attributes, also the kernel's own of overlays (but for those that
// point into a file system). Neither side trusts the tree or the other side:
// no link is followed out of a tree, and nothing that is no regular file or
// directory is opened.
package treesync

// Package fusepool runs a ZFS pool of its own where no kernel module can be
// loaded: a zfs-fuse daemon with a file as its disk.
//
// zfs-fuse has fixed places for its socket, lock and cache. Each daemon
// therefore lives in a mount namespace of its own with empty file systems over
// those places, so that any number of them, and one of the machine's own, do not
// see each other. Datasets are mounted below a directory that is shared between
// that namespace and the caller's: they can be used from both.
//
// zfs-fuse has a fault that lets a signal stop all of its file systems; where
// there is a C compiler, each daemon is run with a few lines of C that mend it
// (preload/unblock.c).
//
// A daemon outlives the process that started it. Start finds a running one
// again, and brings a pool back whose daemon died. It is meant for development
// and tests; machines that matter have OpenZFS.
package fusepool

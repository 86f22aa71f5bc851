// Package zfs drives a tree of ZFS datasets through the zfs command: create,
// snapshot, clone, set, list, mount, send, receive and destroy; and the
// machine's pools through zpool.
//
// It keeps to the flags that OpenZFS 2.1 and newer and zfs-fuse 0.7 have in
// common, so that tests can use a real pool on a machine where no kernel
// module can be loaded (see zfs/fusepool). In particular it never asks zfs list
// or zpool get for exact numbers, and it creates no volumes.
//
// Every command has a deadline. A zfs command that hangs in the kernel cannot
// be killed; it is left behind, its caller gets model.KindUnavailable, and when
// too many are left behind further calls fail at once instead of piling up.
package zfs

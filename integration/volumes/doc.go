// Package volumes tests volumes as users and operators meet them, with the docker client on
// two nodes: on a rack whose nodes keep volumes as directories, and on one with ZFS. What
// only ZFS can do, sizes, snapshots, clones, streams and moves, is tested there.
package volumes

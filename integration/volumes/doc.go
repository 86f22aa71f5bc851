// Package volumes tests volumes as users and operators meet them, with the docker client on
// two nodes: on a rack whose nodes keep volumes as directories (TestOnDirectories), and on
// one with ZFS (TestOnZFS). What only ZFS can do, sizes, snapshots, clones, streams and
// moves, is tested there.
//
// The acceptance cases of volumes, each a subtest that begins with its number:
//
//	V01  create: name, driver, labels; tritonnfs is the same driver; without a name
//	V02  create again is the same volume, also with other labels; with another size a conflict
//	V03  bad names
//	V04  sizes: of any unit and number, and bad ones
//	V05  no node has room
//	V06  removal of a volume that a container has, running or stopped
//	V07  another name, which a volume that is in use does not get; Docker has no word for it
//	V08  no network is needed
//	V09  volumes described where they are mounted, as compose does; compose itself is in integration/clients
//	V10  an image's VOLUME
//	V11  where a volume can be mounted
//	V12  volumes of another container, with modes, on its node
//	V13  removal of containers that share a volume
//	V14  paths of the node are refused to tenants
//	V15  a volume made anew under an old name is empty
//	V16  filters
//	V17  a named volume comes before an image's VOLUME and gets what the image has there
//	V18  modes of -v
//	V19  a full volume, or container, is full for itself only
//	V20  a volume grows while it is used
//	V21  snapshots, clones, restoring
//
// F12 and F29 are a full disk, and storage that hangs.
package volumes

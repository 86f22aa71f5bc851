// Package guest runs a machine of its own for a test: a Debian under QEMU with systemd, control
// groups of version 2 and OpenZFS's kernel module, whose disk scripts/metal has made.
//
// A [Machine] is commanded by SSH, so that a command has its exit code and its streams, and by
// QEMU's monitor (QMP), for what befalls hardware: a disk that is pulled out or hangs, power
// that is cut. It needs no root, no network of this machine and no free port: what the machine
// sends is carried by QEMU itself. Disks are thrown away with it.
package guest

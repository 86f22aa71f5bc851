// Package metal tests what a rack cannot show: real machines, which package guest boots. The
// program is installed by its Debian package and the commands of the operators' documentation,
// systemd runs it, the kernel's control groups are of version 2, and storage is OpenZFS's kernel
// module on a mirror of two disks.
//
// A machine without the processor's help is slow, and making its disk takes ten minutes or more:
// the tests run only when asked for, by make metal.
package metal

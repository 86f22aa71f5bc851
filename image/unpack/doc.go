// Package unpack applies one layer of an image to a directory tree.
//
// A layer is hostile input. Every name in it is resolved by the kernel with
// openat2(2) and RESOLVE_IN_ROOT, so that neither dots nor links can lead out
// of the tree, whatever the tree holds already; the last part of a name is
// never followed. What a layer may cost is bounded by Limits.
//
// The format is the OCI image layer: a tar archive, plain or compressed with
// gzip, bzip2, xz or zstd, in which a name that begins with .wh. removes what
// lower layers put there. Whiteouts are carried out on the tree itself, so the
// tree has to be the merged view of the lower layers: an overlay mount or a
// clone. Package tarfs makes the files.
package unpack

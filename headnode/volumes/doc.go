// Package volumes has the use cases of volumes: what Docker's API asks of an
// account's own, and what operators ask of any. Which containers mount a volume,
// and on which node it is, the replicated state decides along with the
// container's reservation (package containers); here volumes are made, listed,
// measured and removed. Package transfers moves them.
//
// A volume that was removed is marked first, so that nobody can name it any
// more. The leader has its node remove the files, again and again until that is
// done, and then forgets it.
package volumes

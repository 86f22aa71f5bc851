// Package build tests builds of images with real docker clients: the older
// builder of the command line, and buildx where it is installed
// (scripts/clients). It needs spearhead-buildkitd (scripts/buildkit).
package build

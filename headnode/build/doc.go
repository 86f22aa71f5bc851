// Package build is how images are built: it chooses the node of an account's
// builder, lets BuildKit's clients speak to it, and turns the builds of
// Docker's older API into BuildKit's. What a build makes becomes an image of
// the account like any other.
//
// BuildKit's own API passes through (github.com/moby/buildkit, package
// api/services/control): a head reads of it only requests to solve, so as to
// name their result. An account's builds are all on one node, as long as it is
// there: that is where their cache is.
package build

// Package build carries image builds out on a node: a builder for each account
// that builds, started when it is asked for and ended when it was idle for
// some minutes.
//
// A builder is the program spearhead-buildkitd (tools/buildkit), which is
// BuildKit's daemon. It is the first process of a process namespace of its
// own and has its own mounts, so that whatever way it ends, the steps of its
// builds end and what they mounted goes with it; it ends with the agent. It
// lets go of what the node has mounted for containers, which could not be
// removed or moved away while it lives. It runs in a network namespace that is
// attached as a container's is, so that a build reaches what the account's
// containers reach, and in a control group with the limits of the account's
// package. Its cache outlives it.
//
// Images come and go through the node: a builder asks the agent, over a Unix
// socket, for images of its account, and the agent speaks to registries for
// it by the same rules as when it pulls.
package build

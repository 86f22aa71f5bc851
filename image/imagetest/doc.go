// Package imagetest gives tests and benchmarks real images at a real registry:
// it starts Debian's docker-registry on a loopback port, makes layers in memory
// and pushes them over the distribution protocol.
package imagetest

// Package endtoend tests a whole agent as a head sees it, with real drivers: a
// process of its own that pulls from a registry, runs containers with
// addresses, and is killed at its worst moments. It needs root, and runs in
// mount and network namespaces of its own.
package endtoend

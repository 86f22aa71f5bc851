// Package kerneltest is a node's kernel for tests: drivers that keep in memory
// what real ones would make (processes, roots, mounts, namespaces), so that a
// test can count it, let any step fail, and lose the agent at any step while
// the "kernel" lives on. It holds callers to the order that real drivers need:
// a root is not unmounted under a living process.
package kerneltest

// Package namespace makes network namespaces, pins them to files by a mount,
// so that they outlive the process, and runs functions inside of them.
//
// Namespaces belong to threads. Nothing here ever changes the namespace of a
// thread that other goroutines may come to run on.
package namespace

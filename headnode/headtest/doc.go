// Package headtest puts a head's use cases on a real replicated store of one
// voter and on nodes in memory, for tests.
package headtest

// Package metrics tells how a head works: numbers for Prometheus, a page for
// operators with every loop, queue and gate, and where the numbers of all
// machines of the data center are found.
//
// What happens often is counted as it happens, which costs well under a
// microsecond. All else is looked up when somebody asks.
package metrics

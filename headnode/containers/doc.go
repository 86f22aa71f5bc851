// Package containers is what can be done with containers, once for every front
// door: admission (policy, image, size, placement, addresses), one replicated
// entry that reserves a new container, and the calls to the node that has it.
//
// A method that changes something returns when this head's own state shows the
// change, so whoever asked can read it back here. Another account's containers
// are not found. What is unknown after a failure is left to package reconcile,
// which finishes or undoes it.
package containers

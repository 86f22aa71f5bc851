// Package task runs the life of each container on a node. One goroutine owns
// one container: it alone changes the container's record and asks the drivers
// to act. Others send it commands and get an answer when the command has been
// carried out; commands about one container are carried out one after the
// other, and those about different containers do not wait for each other.
//
// A step is recorded before it is taken and undone when it fails, every step
// may be taken again, and what a record cannot tell after a crash the drivers
// can. So Recover finishes or undoes whatever the last process began:
//
//	creating → undone       idle → leftovers of the last run cleaned
//	starting → adopted if it runs, else undone
//	running  → adopted if it runs, else its end is recorded
//	waiting  → started      removing → finished
//
// A pause and an update that were not recorded as done are undone; restarts and
// forced removals are finished.
//
// A command is carried to its end also when its caller gives up waiting.
package task

// Package reconcile makes the replicated state and the nodes agree again after
// something was interrupted: a head that died between a promise and the
// container, a node whose disk was lost, a reservation or an update nobody works
// on.
//
// Only the leader runs it. It looks once each time that a node connects, and
// now and then at reservations and updates. It finishes or undoes what was never
// acknowledged to a user, declares dead what a node has lost, and only reports
// what it cannot judge: a running container that the data center does not know
// is never stopped by it.
package reconcile

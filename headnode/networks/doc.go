// Package networks decides what networks there are: those of the data center,
// which operators make, and fabrics, which accounts make for themselves. It
// gives addresses to containers, and while its head leads it tells each node
// what it has to know of who else is there.
package networks

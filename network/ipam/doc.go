// Package ipam decides addresses: which address of a network's range a new
// NIC gets, which MAC goes with it, and whether a network's definition makes
// sense.
//
// It is pure: no clock, no randomness, no I/O, no state of its own. What is in
// use is asked of the caller, and the caller's replicated state has the last
// word: two heads that choose the same address at once are told apart there.
package ipam

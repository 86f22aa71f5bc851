// Package joining lets machines become members of the data center: it answers
// what package pki/join asks, on the public endpoint.
//
// Anybody can send such a request, so that a wrong token costs the head little
// and tells its sender little: the state machine compares the hash of its
// secret in constant time, the answer to what is wrong takes as long as it
// takes, and who guesses is soon not answered any more.
package joining

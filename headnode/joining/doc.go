// Package joining lets machines become members of the data center: it answers
// what package pki/join asks, on the public endpoint.
//
// Anybody can send such a request. All tokens go the same way, through the
// state machine, which compares the hash of the secret in constant time and
// tells a used or expired token from a wrong one only to who knows its secret.
// Refusals are counted, by address and in sum, so that guessing costs the heads
// little; who has caused too many is not answered for a minute.
package joining

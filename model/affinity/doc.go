// Package affinity is the language in which an account says beside which of
// its containers a new one goes, or not, and on which nodes, racks and zones.
//
// It is Triton's: KEY, then == or !=, then ~ if the rule is a wish, then a
// value. The key is container, node, rack, zone, or the name of a label of
// the account's containers. A value between slashes is a regular expression,
// one with a * a pattern, and any other is exact.
//
// It is pure. Placement chooses by it, and the replicated state checks by it
// what placement has chosen, so that both mean the same.
package affinity

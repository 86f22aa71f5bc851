// Package names has the resolvers of a node's containers, each in its
// container's namespace, and what they know: the networks and who is on them.
//
// A House holds them. It lives in the process that opens it, or in a process of
// its own, which Main is and which a Client starts, feeds and starts again when
// it dies. That process outlives the one that feeds it: names are answered while
// an agent is down, restarted or upgraded, by what was told last.
package names

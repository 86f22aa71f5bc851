// Package peers is what heads ask of each other: HTTP/1.1 and JSON in mutual
// TLS, on a listener of its own that only heads of the data center may use.
//
// A head hands a proposal or a reservation on to the one that leads, asks it
// how far the log has come, and is asked which creations and images it has
// under way before the leader tidies up. Raft's own traffic does not pass
// here; see package raftstore.
//
// Three answers are told apart, because only one of them may be asked again
// elsewhere: done, refused (an error of the request itself, with its kind),
// and ErrAgain (nothing was decided, or nobody knows).
package peers

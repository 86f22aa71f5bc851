// Package command holds the typed commands that change the replicated state,
// and their form in the raft log.
//
// A command is a plain struct. In the log it is one JSON object with its
// number, its version and its fields. Everything that is not determined by the
// log itself (times, ids, addresses, the node that placement chose) is decided
// before a command is proposed and is part of it, so that every head that
// applies it comes to the same state.
//
// Commands live as long as logs and backups do: a number is never used again
// and a field never gets another meaning. A head that meets a number, a
// version or a field that it does not know gets a *NewerError and must stop;
// skipping it would make its state differ from the others'.
package command

// Package state keeps an agent's records on disk: what containers the node
// has, how far each is in its life, its execs, and the journal of what
// happened. All of it is one bbolt file, so that the change of a record and the
// entries that tell of it are one transaction and one fsync:
//
//	meta        schema → 1, epoch → id of this journal
//	requests    container id → wire.CreateRequest, written at create and update
//	statuses    container id → Status, small, written at every step
//	execs       exec id → Exec
//	offers      volume id → id of the node that may read it
//	journal     sequence number, big endian → model.JournalEntry
//
// A record is changed before the world is: whoever opens the file after a
// crash finds at least everything that may have been begun.
package state

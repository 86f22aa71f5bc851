package state

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Place is the newest place in the journal.
func (db *DB) Place() wire.Ack {
	db.mu.Lock()
	defer db.mu.Unlock()
	return wire.Ack{Epoch: db.epoch, Seq: db.last}
}

// Changed returns a channel that is closed when entries come after the newest
// of this moment. Take it before reading: then none is missed.
func (db *DB) Changed() <-chan struct{} {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.changed
}

// Entries returns up to limit entries after the given sequence number, in
// order.
func (db *DB) Entries(after uint64, limit int) ([]model.JournalEntry, error) {
	var found []model.JournalEntry
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketJournal).Cursor()
		for k, v := cursor.Seek(key(after + 1)); k != nil && len(found) < limit; k, v = cursor.Next() {
			var e model.JournalEntry
			if err := json.Unmarshal(v, &e); err != nil {
				return fmt.Errorf("entry %d: %w", binary.BigEndian.Uint64(k), err)
			}
			found = append(found, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	return found, nil
}

// Acknowledge says that entries up to and with seq are needed no longer. They
// are dropped along with later changes, so it costs no write of its own.
func (db *DB) Acknowledge(seq uint64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.acknowledged = max(db.acknowledged, min(seq, db.last))
}

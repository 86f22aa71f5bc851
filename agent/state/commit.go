package state

import (
	"encoding/binary"
	"encoding/json"

	"go.etcd.io/bbolt"
)

// maxBatch is how many changes share a transaction at most, and trimBatch how
// many acknowledged entries one transaction drops.
const (
	maxBatch  = 256
	trimBatch = 2000
)

// pending is a change on its way to disk. Everything that can fail for its own
// reasons is done before it is queued, so that it cannot spoil its batch.
type pending struct {
	change  Change
	request []byte
	status  []byte
	exec    []byte
	seq     uint64
	result  chan error
}

func encode(c Change) (*pending, error) {
	p := &pending{change: c, result: make(chan error, 1)}
	var err error
	if c.Request != nil {
		if p.request, err = json.Marshal(c.Request); err != nil {
			return nil, err
		}
	}
	if c.Status != nil {
		if p.status, err = json.Marshal(c.Status); err != nil {
			return nil, err
		}
	}
	if c.Exec != nil {
		if p.exec, err = json.Marshal(c.Exec); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// commitAll is the one goroutine that writes: it takes what has queued up
// while it wrote, and makes that the next transaction.
func (db *DB) commitAll() {
	defer close(db.done)
	for {
		var batch []*pending
		select {
		case p := <-db.queue:
			batch = append(batch, p)
		case <-db.stop:
			if len(db.queue) == 0 {
				return
			}
		}
	more:
		for len(batch) < maxBatch {
			select {
			case p := <-db.queue:
				batch = append(batch, p)
			default:
				break more
			}
		}
		db.commit(batch)
	}
}

// commit writes one batch and answers each of its changes.
func (db *DB) commit(batch []*pending) {
	db.mu.Lock()
	before, trim := db.last, db.acknowledged
	db.mu.Unlock()
	err := db.bolt.Update(func(tx *bbolt.Tx) error {
		for _, p := range batch {
			if err := p.write(tx); err != nil {
				return err
			}
		}
		return dropEntries(tx.Bucket(bucketJournal), trim)
	})
	if err == nil {
		if last := batch[len(batch)-1].seq; last > before {
			db.mu.Lock()
			db.last = last
			close(db.changed)
			db.changed = make(chan struct{})
			db.mu.Unlock()
		}
	}
	for _, p := range batch {
		p.result <- err
	}
}

func (p *pending) write(tx *bbolt.Tx) error {
	id := []byte(p.change.Container)
	if p.request != nil {
		if err := tx.Bucket(bucketRequests).Put(id, p.request); err != nil {
			return err
		}
	}
	if p.status != nil {
		if err := tx.Bucket(bucketStatuses).Put(id, p.status); err != nil {
			return err
		}
	}
	execs := tx.Bucket(bucketExecs)
	if p.exec != nil {
		if err := execs.Put([]byte(p.change.Exec.Spec.ID), p.exec); err != nil {
			return err
		}
	}
	for _, exec := range p.change.ForgetExecs {
		if err := execs.Delete([]byte(exec)); err != nil {
			return err
		}
	}
	if p.change.Forget {
		if err := tx.Bucket(bucketRequests).Delete(id); err != nil {
			return err
		}
		if err := tx.Bucket(bucketStatuses).Delete(id); err != nil {
			return err
		}
	}
	return p.appendEntries(tx.Bucket(bucketJournal))
}

func (p *pending) appendEntries(journal *bbolt.Bucket) error {
	for _, e := range p.change.Entries {
		seq, err := journal.NextSequence()
		if err != nil {
			return err
		}
		e.Seq = seq
		encoded, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if err := journal.Put(key(seq), encoded); err != nil {
			return err
		}
	}
	p.seq = journal.Sequence()
	return nil
}

// dropEntries drops entries up to and with seq, the oldest first.
func dropEntries(journal *bbolt.Bucket, seq uint64) error {
	cursor := journal.Cursor()
	for n := 0; n < trimBatch; n++ {
		k, _ := cursor.First()
		if k == nil || binary.BigEndian.Uint64(k) > seq {
			return nil
		}
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return nil
}

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

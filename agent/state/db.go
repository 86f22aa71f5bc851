package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

const schema = "1"

var (
	bucketMeta     = []byte("meta")
	bucketRequests = []byte("requests")
	bucketStatuses = []byte("statuses")
	bucketExecs    = []byte("execs")
	bucketOffers   = []byte("offers")
	bucketJournal  = []byte("journal")

	keySchema = []byte("schema")
	keyEpoch  = []byte("epoch")
)

// DB is the agent's file of records. Its methods may be called by many
// goroutines at once; changes that come while another is being written share
// the next transaction, so that many containers cost one fsync.
type DB struct {
	bolt  *bbolt.DB
	epoch string
	queue chan *pending
	stop  chan struct{}
	done  chan struct{} // closed when the committer has ended

	mu sync.Mutex
	// last is the newest entry of the journal, acknowledged the newest that
	// heads no longer need; changed is closed at the next entry.
	last         uint64
	acknowledged uint64
	changed      chan struct{}
}

// Open opens the file at path, which is made if it is missing. Only one
// process at a time can have it open.
func Open(path string) (*DB, error) {
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        5 * time.Second,
		NoFreelistSync: true, // found again at open; saves a write at each commit
		FreelistType:   bbolt.FreelistMapType,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("cannot open the agent's records: another agent uses %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the agent's records: %w", err)
	}
	db := &DB{
		bolt:    b,
		queue:   make(chan *pending, maxBatch),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
	}
	if err := b.Update(db.prepare); err != nil {
		b.Close()
		return nil, fmt.Errorf("cannot open the agent's records: %w", err)
	}
	go db.commitAll()
	return db, nil
}

// prepare makes the buckets and reads what is kept in memory.
func (db *DB) prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketRequests, bucketStatuses, bucketExecs, bucketOffers, bucketJournal} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	switch found := string(meta.Get(keySchema)); found {
	case schema:
	case "":
		if err := meta.Put(keySchema, []byte(schema)); err != nil {
			return err
		}
		if err := meta.Put(keyEpoch, []byte(model.ShortID(model.NewID()))); err != nil {
			return err
		}
	default:
		return fmt.Errorf("they have the form %s and this release knows only %s; run the release that wrote them", found, schema)
	}
	db.epoch = string(meta.Get(keyEpoch))
	db.last = tx.Bucket(bucketJournal).Sequence()
	return nil
}

// Close waits for changes that are under way and closes the file.
func (db *DB) Close() error {
	close(db.stop)
	<-db.done
	return db.bolt.Close()
}

// Epoch names this journal: it was made with the file and is never used again.
func (db *DB) Epoch() string { return db.epoch }

// Records returns all containers, in no order.
func (db *DB) Records() ([]Record, error) {
	var all []Record
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		requests := tx.Bucket(bucketRequests)
		return tx.Bucket(bucketStatuses).ForEach(func(id, encoded []byte) error {
			var r Record
			if err := json.Unmarshal(encoded, &r.Status); err != nil {
				return fmt.Errorf("status of container %s: %w", id, err)
			}
			if err := json.Unmarshal(requests.Get(id), &r.Request); err != nil {
				return fmt.Errorf("request of container %s: %w", id, err)
			}
			all = append(all, r)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the agent's records: %w", err)
	}
	return all, nil
}

// Execs returns all execs, in no order.
func (db *DB) Execs() ([]Exec, error) {
	var all []Exec
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketExecs).ForEach(func(id, encoded []byte) error {
			var e Exec
			if err := json.Unmarshal(encoded, &e); err != nil {
				return fmt.Errorf("exec %s: %w", id, err)
			}
			all = append(all, e)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the agent's records: %w", err)
	}
	return all, nil
}

// Commit makes a change and returns the place in the journal after which it
// shows: of its last entry, or of the newest entry if it has none. If ctx ends
// first, the change may still be made.
func (db *DB) Commit(ctx context.Context, c Change) (wire.Ack, error) {
	p, err := db.submit(ctx, c)
	if err != nil {
		return wire.Ack{}, err
	}
	select {
	case err = <-p.result:
	case <-ctx.Done():
		return wire.Ack{}, ctx.Err()
	case <-db.done:
		// The committer may have answered with its last breath.
		select {
		case err = <-p.result:
		default:
			err = model.Errorf(model.KindUnavailable, "the node is shutting down; try again when it is back")
		}
	}
	if err != nil {
		return wire.Ack{}, fmt.Errorf("cannot record container %s: %w", c.Container, err)
	}
	return wire.Ack{Epoch: db.epoch, Seq: p.seq}, nil
}

// Tell appends entries to the journal and does not wait until they are on
// disk: for what is only to be known. They come after what was committed
// before, and before what is committed after; a crash at this moment loses them.
func (db *DB) Tell(ctx context.Context, entries ...model.JournalEntry) error {
	_, err := db.submit(ctx, Change{Entries: entries})
	return err
}

// submit queues a change.
func (db *DB) submit(ctx context.Context, c Change) (*pending, error) {
	p, err := encode(c)
	if err != nil {
		return nil, fmt.Errorf("cannot record container %s: %w", c.Container, err)
	}
	select {
	case db.queue <- p:
		return p, nil
	case <-db.stop:
		return nil, model.Errorf(model.KindUnavailable, "the node is shutting down; try again when it is back")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

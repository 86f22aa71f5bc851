package raftstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

const (
	databaseFile    = "raft.db"
	keepSnapshots   = 2
	lockTimeout     = time.Second // for another process to let go of the database
	snapshotsFolder = "snapshots" // made by raft.FileSnapshotStore
)

// disk is a head's raft files, opened and found sound.
type disk struct {
	store     *checked
	snapshots *raft.FileSnapshotStore
}

// openDisk opens the raft files of head id in dir, or makes new ones if there
// is nothing. The error is a *DamagedError if what is there is not all that
// this head has ever written.
func openDisk(dir, id string, timeout time.Duration, failed *failure, log *slog.Logger) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the directory for raft: %w", err)
	}
	if err := atomicfile.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("cannot make the directory for raft: %w", err)
	}
	m, err := checkMarker(dir, id)
	if err != nil {
		return nil, err
	}
	d, err := openFiles(dir, m, timeout, failed, log)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return d, nil
}

func openFiles(dir string, m *marker, timeout time.Duration, failed *failure, log *slog.Logger) (*disk, error) {
	path := filepath.Join(dir, databaseFile)
	if err := checkDatabase(dir, path, m.get()); err != nil {
		return nil, err
	}
	db, err := openDatabase(path)
	if err != nil {
		return nil, &DamagedError{Dir: dir, What: "the database does not open", Cause: err}
	}
	d := &disk{store: &checked{db: db, marker: m, timeout: timeout, failed: failed}}
	if d.snapshots, err = raft.NewFileSnapshotStoreWithLogger(dir, keepSnapshots, raftLogger(log)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open snapshots: %w", err), db.Close())
	}
	if err := d.verify(m.get()); err != nil {
		return nil, errors.Join(&DamagedError{Dir: dir, What: "they do not hold all that this head has written", Cause: err}, db.Close())
	}
	if err := atomicfile.SyncDir(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot sync the directory for raft: %w", err), db.Close())
	}
	return d, nil
}

// checkMarker opens the marker, which comes first and goes last: where it is
// missing nothing else may be there.
func checkMarker(dir, id string) (*marker, error) {
	m, err := openMarker(dir)
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range []string{databaseFile, snapshotsFolder} {
			if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				return nil, &DamagedError{Dir: dir, What: "the marker is missing although there is " + name}
			}
		}
		if err := createMarker(dir, id); err != nil {
			return nil, fmt.Errorf("cannot make marker: %w", err)
		}
		m, err = openMarker(dir)
	}
	if err != nil {
		return nil, &DamagedError{Dir: dir, What: "the marker cannot be read", Cause: err}
	}
	if m.get().Removed {
		return nil, errors.Join(ErrRemoved, m.close())
	}
	if owner := m.get().ID; owner != id {
		return nil, errors.Join(&DamagedError{Dir: dir, What: fmt.Sprintf("they belong to head %s, this is head %s", owner, id)}, m.close())
	}
	return m, nil
}

// checkDatabase reads all of an existing database before it is opened for
// writing, since bbolt panics on damage, then in goroutines of its own too.
// A head that has never taken part in anything may start with a new one.
func checkDatabase(dir, path string, m mark) error {
	virgin := m.Term == 0 && m.VoteTerm == 0 && m.Index == 0
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && virgin:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &DamagedError{Dir: dir, What: "the database is missing"}
	case err != nil:
		return fmt.Errorf("cannot open the raft database: %w", err)
	}
	if info.Size() == 0 {
		err = errors.New("it is empty")
	} else {
		err = guard(func() error { return walk(path) })
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("cannot open the raft database: another process uses it: %w", err)
	}
	if virgin {
		return os.Remove(path)
	}
	return &DamagedError{Dir: dir, What: "the database cannot be read", Cause: err}
}

// walk visits every key of a database.
func walk(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			var last []byte
			return bucket.ForEach(func(k, _ []byte) error {
				if last != nil && string(k) <= string(last) {
					return fmt.Errorf("the keys of %s are out of order", name)
				}
				last = append(last[:0], k...)
				return nil
			})
		})
	})
	return errors.Join(err, db.Close())
}

func openDatabase(path string) (db *raftboltdb.BoltStore, err error) {
	err = guard(func() error {
		db, err = raftboltdb.New(raftboltdb.Options{
			Path: path,
			BoltOptions: &bbolt.Options{
				Timeout:        lockTimeout,
				NoFreelistSync: true,
				FreelistType:   bbolt.FreelistMapType,
			},
		})
		return err
	})
	return db, err
}

// verify reads the log and the latest snapshot and compares them with the
// marker.
func (d *disk) verify(m mark) error {
	covered, err := d.verifySnapshot()
	if err != nil {
		return err
	}
	first, last, err := d.verifyLog(covered)
	if err != nil {
		return err
	}
	if first > covered+1 {
		return fmt.Errorf("entries %d to %d are missing: the log begins after the latest snapshot", covered+1, first-1)
	}
	if have := max(last, covered); have < m.Index {
		return fmt.Errorf("the log ends at entry %d, but this head has written entry %d: the files are an old copy", have, m.Index)
	}
	for _, t := range []struct {
		key  string
		seen uint64
	}{{keyCurrentTerm, m.Term}, {keyLastVoteTerm, m.VoteTerm}} {
		term, err := d.store.term(t.key)
		if err != nil {
			return err
		}
		if term < t.seen {
			return fmt.Errorf("%s is %d, but this head has been at %d: the files are an old copy", t.key, term, t.seen)
		}
	}
	return nil
}

// verifyLog reads all entries. Of those that a snapshot covers some may be
// missing: the restore of a backup leaves a hole in the log.
func (d *disk) verifyLog(covered uint64) (first, last uint64, err error) {
	if first, err = d.store.FirstIndex(); err != nil {
		return 0, 0, err
	}
	if last, err = d.store.LastIndex(); err != nil {
		return 0, 0, err
	}
	if last == 0 {
		return 0, 0, nil
	}
	for i := first; i <= last; i++ {
		var entry raft.Log
		err := d.store.GetLog(i, &entry)
		if errors.Is(err, raft.ErrLogNotFound) && i <= covered {
			i = covered
			continue
		}
		if err != nil {
			return 0, 0, fmt.Errorf("log entry %d is damaged: %w", i, err)
		}
	}
	return first, last, nil
}

// verifySnapshot returns the last entry that the latest snapshot includes.
func (d *disk) verifySnapshot() (covered uint64, err error) {
	snapshots, err := d.snapshots.List()
	if err != nil {
		return 0, fmt.Errorf("cannot list snapshots: %w", err)
	}
	if len(snapshots) == 0 {
		return 0, nil
	}
	// Open compares the checksum of the whole file.
	meta, r, err := d.snapshots.Open(snapshots[0].ID)
	if err != nil {
		return 0, fmt.Errorf("the latest snapshot is damaged: %w", err)
	}
	_, err = io.CopyN(io.Discard, r, meta.Size)
	return meta.Index, errors.Join(err, r.Close())
}

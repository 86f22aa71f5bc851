package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// backend is what raft's files are kept in: raft-boltdb, or a test's own.
type backend interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

// Keys of raft's own in the stable store.
const (
	keyCurrentTerm  = "CurrentTerm"
	keyLastVoteTerm = "LastVoteTerm"
)

// checked is the log and stable store that raft gets. It adds a checksum to
// each entry and value, advances the marker, and gives up on a disk that does
// not answer: raft itself would wait for it, leading, for ever.
type checked struct {
	db      backend
	marker  *marker
	timeout time.Duration
	failed  *failure
	writes  sync.WaitGroup // those that the disk still owes an answer
	// alone tells whether no other head could take over from this one; nil
	// before there is a raft to ask.
	alone atomic.Pointer[func() bool]
}

// write runs op, which changes the disk, with a deadline. After an error other
// than a full disk nothing is tried again: what a failed fsync leaves behind
// is not known, and a second one that succeeds proves nothing.
func (c *checked) write(what string, op func() error) error {
	if err := c.failed.cause(); err != nil {
		return err
	}
	done := make(chan error, 1)
	c.writes.Go(func() { done <- guard(op) })
	// The deadline is counted in parts: to a process that was stopped for a
	// while, as a machine's pause does, all of that time is one part.
	part := time.NewTicker(c.timeout / deadlineParts)
	defer part.Stop()
	for parts := 0; parts < deadlineParts || parts < deadlineParts*alonePatience && c.isAlone(); parts++ {
		select {
		case err := <-done:
			return c.written(what, err)
		case <-part.C:
		}
	}
	err := fmt.Errorf("cannot write %s: the disk has not answered for %s or longer", what, c.timeout)
	c.failed.fail(err)
	return err
}

func (c *checked) isAlone() bool {
	alone := c.alone.Load()
	return alone == nil || (*alone)()
}

// deadlineParts is how many parts of its deadline a write may take.
const deadlineParts = 8

// alonePatience is how many times as long a head waits for its disk whose end
// would help nobody, because no other head could lead.
const alonePatience = 10

// written judges how a write ended.
func (c *checked) written(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("cannot write %s: %w", what, err)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		c.failed.fail(err)
	}
	return err
}

// guard turns the panics and faults of a damaged database into errors.
func guard(op func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database is damaged: %v", p)
		}
	}()
	return op()
}

// FirstIndex implements raft.LogStore.
func (c *checked) FirstIndex() (uint64, error) { return c.index(c.db.FirstIndex) }

// LastIndex implements raft.LogStore.
func (c *checked) LastIndex() (uint64, error) { return c.index(c.db.LastIndex) }

func (c *checked) index(read func() (uint64, error)) (index uint64, err error) {
	err = guard(func() error {
		index, err = read()
		return err
	})
	return index, err
}

// GetLog implements raft.LogStore. It returns raft.ErrLogNotFound for an entry
// that is not there and refuses one that is not as it was written.
func (c *checked) GetLog(index uint64, entry *raft.Log) error {
	err := guard(func() error { return c.db.GetLog(index, entry) })
	if err != nil {
		return err
	}
	if entry.Index != index {
		return fmt.Errorf("it says that it is entry %d", entry.Index)
	}
	data, ok := unseal(entry.Data, entryHeader(entry))
	if !ok {
		return errors.New("its checksum is wrong")
	}
	entry.Data = data
	return nil
}

// StoreLog implements raft.LogStore.
func (c *checked) StoreLog(entry *raft.Log) error { return c.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore. raft keeps using the entries, so sealed
// copies are stored.
func (c *checked) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	sealed := make([]*raft.Log, len(entries))
	for i, e := range entries {
		s := *e
		s.Data = seal(e.Data, entryHeader(e))
		sealed[i] = &s
	}
	last := entries[len(entries)-1]
	return c.write("log", func() error {
		if err := c.db.StoreLogs(sealed); err != nil {
			return err
		}
		return c.marker.set(func(m *mark) {
			m.Index = last.Index
			m.Term = max(m.Term, last.Term)
		}, false)
	})
}

// DeleteRange implements raft.LogStore. Where the end of the log goes, as when
// another head's entries replace this one's, the marker goes back first.
func (c *checked) DeleteRange(low, high uint64) error {
	return c.write("log", func() error {
		last, err := c.db.LastIndex()
		if err != nil {
			return err
		}
		if high >= last {
			if err := c.marker.set(func(m *mark) { m.Index = min(m.Index, low-1) }, true); err != nil {
				return err
			}
		}
		return c.db.DeleteRange(low, high)
	})
}

// Set implements raft.StableStore.
func (c *checked) Set(key, value []byte) error {
	return c.write("vote", func() error { return c.db.Set(key, seal(value, key)) })
}

// Get implements raft.StableStore.
func (c *checked) Get(key []byte) (value []byte, err error) {
	err = guard(func() error {
		value, err = c.db.Get(key)
		return err
	})
	if err != nil {
		return nil, err
	}
	plain, ok := unseal(value, key)
	if !ok {
		return nil, fmt.Errorf("the value of %s is damaged: its checksum is wrong", key)
	}
	return plain, nil
}

// SetUint64 implements raft.StableStore.
func (c *checked) SetUint64(key []byte, value uint64) error {
	return c.write("term", func() error {
		if err := c.db.Set(key, seal(binary.BigEndian.AppendUint64(nil, value), key)); err != nil {
			return err
		}
		return c.marker.set(func(m *mark) {
			switch string(key) {
			case keyCurrentTerm:
				m.Term = max(m.Term, value)
			case keyLastVoteTerm:
				m.VoteTerm = max(m.VoteTerm, value)
			}
		}, true)
	})
}

// GetUint64 implements raft.StableStore.
func (c *checked) GetUint64(key []byte) (uint64, error) {
	value, err := c.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("the value of %s is damaged: it has %d bytes", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// term is GetUint64 with 0 for what was never set.
func (c *checked) term(key string) (uint64, error) {
	value, err := c.GetUint64([]byte(key))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return 0, nil
	}
	return value, err
}

// Close closes the files. It waits one more deadline for writes that the disk
// has not answered, and another one for the database, whose lock an interrupted
// write may hold for ever; then it gives up.
func (c *checked) Close() error {
	if !waitAtMost(&c.writes, c.timeout) {
		return errors.New("cannot close the raft files: the disk does not answer")
	}
	done := make(chan error, 1)
	go func() { done <- guard(c.db.Close) }() // ends with the process, if not before
	deadline := time.NewTimer(c.timeout)
	defer deadline.Stop()
	select {
	case err := <-done:
		return errors.Join(err, c.marker.close())
	case <-deadline.C:
		return errors.Join(errors.New("cannot close the raft database: a write that did not end holds it"), c.marker.close())
	}
}

// A sealed value ends in the CRC-32C of the value and of what it belongs to.
const sealSize = 4

func seal(data, context []byte) []byte {
	out := make([]byte, 0, len(data)+sealSize)
	return binary.BigEndian.AppendUint32(append(out, data...), sum(data, context))
}

func unseal(sealed, context []byte) ([]byte, bool) {
	n := len(sealed) - sealSize
	if n < 0 || binary.BigEndian.Uint32(sealed[n:]) != sum(sealed[:n], context) {
		return nil, false
	}
	return sealed[:n:n], true
}

func sum(data, context []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(context, table), table, data)
}

// entryHeader is all of an entry that matters but its data.
func entryHeader(e *raft.Log) []byte {
	h := binary.BigEndian.AppendUint64(nil, e.Index)
	h = binary.BigEndian.AppendUint64(h, e.Term)
	h = append(h, byte(e.Type))
	return append(h, e.Extensions...)
}

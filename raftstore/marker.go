package raftstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

const (
	markerFile = "marker"
	slotSize   = 512
)

// mark is how far a head has come: a database that knows less is not its own.
type mark struct {
	ID       string `json:"id"`
	Term     uint64 `json:"term"`      // highest that this head has taken part in
	VoteTerm uint64 `json:"vote_term"` // latest in which it has voted
	Index    uint64 `json:"index"`     // last entry in its log
	Removed  bool   `json:"removed,omitempty"`
}

// slot is one copy of the mark in the file.
type slot struct {
	Sequence uint64 `json:"sequence"`
	Mark     mark   `json:"mark"`
	CRC      uint32 `json:"crc"` // of the slot with a CRC of 0
}

// marker is the file that holds a mark. It has two slots that are written in
// turn, so that one that is torn leaves the other. An advance is written after
// the database is durable and need not be itself: a marker that is behind is
// harmless. Going back is made durable before the database goes back.
type marker struct {
	mu   sync.Mutex
	file *os.File
	seq  uint64
	mark mark
}

// createMarker makes the marker of a head that has never done anything.
func createMarker(dir, id string) error {
	data := encodeSlot(slot{Mark: mark{ID: id}})
	return atomicfile.Write(filepath.Join(dir, markerFile), append(data, data...), 0o600)
}

// openMarker returns an error that wraps fs.ErrNotExist if there is none.
func openMarker(dir string) (*marker, error) {
	f, err := os.OpenFile(filepath.Join(dir, markerFile), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, 2*slotSize+1))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m := &marker{file: f}
	found := false
	for i := 0; i < 2 && len(data) == 2*slotSize; i++ {
		s, ok := decodeSlot(data[i*slotSize : (i+1)*slotSize])
		if ok && (!found || s.Sequence > m.seq) {
			m.seq, m.mark, found = s.Sequence, s.Mark, true
		}
	}
	if !found {
		return nil, errors.Join(errors.New("the marker is damaged"), f.Close())
	}
	return m, nil
}

func encodeSlot(s slot) []byte {
	s.CRC = 0
	plain, err := json.Marshal(s)
	if err != nil {
		// A slot is numbers and a string.
		panic(fmt.Sprintf("raftstore: cannot encode marker: %v", err))
	}
	s.CRC = crc32.Checksum(plain, crc32.MakeTable(crc32.Castagnoli))
	data, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("raftstore: cannot encode marker: %v", err))
	}
	padding := max(slotSize-1-len(data), 0)
	return append(append(data, bytes.Repeat([]byte{' '}, padding)...), '\n')
}

func decodeSlot(data []byte) (slot, bool) {
	var s slot
	if json.Unmarshal(data, &s) != nil {
		return s, false
	}
	return s, bytes.Equal(encodeSlot(s), data)
}

func (m *marker) get() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mark
}

// set changes the mark; with durable it is on disk when set returns.
func (m *marker) set(change func(*mark), durable bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.mark
	change(&next)
	if next == m.mark {
		return nil
	}
	seq := m.seq + 1
	if _, err := m.file.WriteAt(encodeSlot(slot{Sequence: seq, Mark: next}), int64(seq%2)*slotSize); err != nil {
		return fmt.Errorf("cannot write marker: %w", err)
	}
	if durable {
		if err := m.file.Sync(); err != nil {
			return fmt.Errorf("cannot write marker: %w", err)
		}
	}
	m.seq, m.mark = seq, next
	return nil
}

func (m *marker) close() error { return errors.Join(m.file.Sync(), m.file.Close()) }

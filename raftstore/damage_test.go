package raftstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const secret = "a-value-that-is-easy-to-find-in-a-file"

func TestP7DamagedFilesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
	}{
		{"database cut in half", func(t *testing.T, dir string) { cut(t, filepath.Join(dir, databaseFile), 2) }},
		{"database cut to nothing", func(t *testing.T, dir string) { cut(t, filepath.Join(dir, databaseFile), 1<<30) }},
		{"both meta pages zeroed", func(t *testing.T, dir string) { zero(t, filepath.Join(dir, databaseFile), 0, 8192) }},
		{"pages overwritten", func(t *testing.T, dir string) { zero(t, filepath.Join(dir, databaseFile), 8192, 1<<20) }},
		{"a byte of an entry flipped", func(t *testing.T, dir string) { flip(t, filepath.Join(dir, databaseFile), secret) }},
		{"a byte of the term flipped", func(t *testing.T, dir string) { flipAfter(t, filepath.Join(dir, databaseFile), keyCurrentTerm) }},
		{"database deleted", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, databaseFile)) }},
		{"marker deleted", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, markerFile)) }},
		{"marker overwritten", func(t *testing.T, dir string) { zero(t, filepath.Join(dir, markerFile), 0, 2*slotSize) }},
		{"database and marker deleted", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, databaseFile))
			remove(t, filepath.Join(dir, markerFile))
		}},
		{"latest snapshot damaged", func(t *testing.T, dir string) { flip(t, latestSnapshot(t, dir), "early") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fill(t, dir)
			c.damage(t, dir)
			mustRefuse(t, dir)
		})
	}
}

func TestP7OldCopyOfTheDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		later func(t *testing.T, s *Store, dir string) *Store
	}{
		{"one entry is missing", func(t *testing.T, s *Store, _ string) *Store {
			mustPropose(t, s, command.SetSetting{Name: "later", Value: "x"})
			return s
		}},
		{"one election is missing", func(t *testing.T, s *Store, dir string) *Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return mustOpen(t, dir)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, dir)
			mustPropose(t, s, account(1))
			path := filepath.Join(dir, databaseFile)
			old := read(t, path)
			if err := c.later(t, s, dir).Close(); err != nil {
				t.Fatal(err)
			}
			write(t, path, old)
			mustRefuse(t, dir)
		})
	}
}

func TestLostSnapshotsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	reload := s.raft.ReloadableConfig()
	reload.TrailingLogs = 1
	if err := s.raft.ReloadConfig(reload); err != nil {
		t.Fatal(err)
	}
	mustPropose(t, s, account(1), account(2), account(3))
	if err := s.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, snapshotsFolder)); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, dir)
}

func TestFilesOfAnotherHeadAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir)
	_, err := Open(t.Context(), Config{Dir: dir, ID: "head-2", Bind: "head-2:1"})
	var damaged *DamagedError
	if !errors.As(err, &damaged) {
		t.Errorf("got %v", err)
	}
}

func TestTornMarkerFallsBackToItsOtherSlot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir)
	m, err := openMarker(dir)
	if err != nil {
		t.Fatal(err)
	}
	latest := int64(m.seq % 2)
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	zero(t, filepath.Join(dir, markerFile), latest*slotSize+20, slotSize-20)
	mustOpen(t, dir)
}

func TestInterruptedFirstStartIsBegunAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		leave func(t *testing.T, dir string)
	}{
		{"marker only", func(*testing.T, string) {}},
		{"empty database", func(t *testing.T, dir string) { write(t, filepath.Join(dir, databaseFile), nil) }},
		{"half a database", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, databaseFile), bytes.Repeat([]byte{1}, 5000))
		}},
		{"term without log", func(t *testing.T, dir string) {
			d, err := openDisk(dir, "head-1", defaultDiskTimeout, newFailure(), discard())
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(d.store.SetUint64([]byte(keyCurrentTerm), 1), d.store.Close()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := createMarker(dir, "head-1"); err != nil {
				t.Fatal(err)
			}
			c.leave(t, dir)
			mustPropose(t, mustOpen(t, dir), account(1))
		})
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustOpen(t, dir)
	if _, err := openSingle(t, dir); err == nil {
		t.Error("a store was opened twice")
	}
}

// fill leaves a closed store with a snapshot and a log.
func fill(t *testing.T, dir string) {
	t.Helper()
	s := mustOpen(t, dir)
	mustPropose(t, s, account(1), command.SetSetting{Name: "early", Value: "x"})
	if err := s.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		mustPropose(t, s, account(i+2))
	}
	mustPropose(t, s, command.SetSetting{Name: "secret", Value: secret})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustRefuse(t *testing.T, dir string) {
	t.Helper()
	_, err := openSingle(t, dir)
	var damaged *DamagedError
	if !errors.As(err, &damaged) {
		t.Fatalf("the damaged store answered %v", err)
	}
	t.Log(err)
}

func latestSnapshot(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, snapshotsFolder, "*", "state.bin"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no snapshot: %v", err)
	}
	return found[len(found)-1]
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, path string, by int64) {
	t.Helper()
	if err := os.Truncate(path, int64(len(read(t, path)))/by); err != nil {
		t.Fatal(err)
	}
}

func zero(t *testing.T, path string, from, length int64) {
	t.Helper()
	data := read(t, path)
	clear(data[from:min(from+length, int64(len(data)))])
	write(t, path, data)
}

// flip changes each occurrence of text, of which bbolt may keep old copies.
func flip(t *testing.T, path, text string) {
	t.Helper()
	data := read(t, path)
	if !bytes.Contains(data, []byte(text)) {
		t.Fatalf("%q is not in %s", text, path)
	}
	changed := []byte(text)
	changed[len(changed)-1] ^= 1
	write(t, path, bytes.ReplaceAll(data, []byte(text), changed))
}

// flipAfter changes the last byte of the 8 that follow each occurrence of a key.
func flipAfter(t *testing.T, path, key string) {
	t.Helper()
	data := read(t, path)
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte(key))
		if i < 0 {
			break
		}
		at += i + len(key)
		data[at+7] ^= 1
	}
	write(t, path, data)
}

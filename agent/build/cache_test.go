package build

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestACacheIsKeptUnlessTheMachineWentDownWithIt has a cache that is used, settled, used again
// and left behind by a kill of the agent, and one of which the disk may have any part.
func TestACacheIsKeptUnlessTheMachineWentDownWithIt(t *testing.T) {
	t.Parallel()
	b := &Builders{cfg: Config{StateDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}}
	kept, note := filepath.Join(b.cacheDir("a1"), "kept"), filepath.Join(b.cacheDir("a1"), unsyncedFile)
	open := func() {
		t.Helper()
		if err := b.openCache("a1"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(note); err != nil {
			t.Errorf("a cache in use does not say so: %v", err)
		}
	}
	open()
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open() // after a kill of its builder
	if err := b.settleCache("a1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(note); err == nil {
		t.Error("a cache that was written out says that it was not")
	}
	open()
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("the cache was lost: %v", err)
	}

	if err := os.WriteFile(note, []byte("another boot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.settleCache("a1"); err != nil {
		t.Fatal(err)
	}
	open()
	if _, err := os.Stat(kept); err == nil {
		t.Error("a cache that the machine went down with is used")
	}
}

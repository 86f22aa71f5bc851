package volumes_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// fillUp writes to a file until there is no space left, which may be at once.
func fillUp(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if errors.Is(err, unix.ENOSPC) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := bytes.Repeat([]byte("0123456789abcdef"), 1<<13)
	for err == nil {
		_, err = file.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the pool: %v", err)
	}
}

// roomAgain has work done that needs space which ZFS frees a while after what
// held it is gone. It tells nobody when it has.
func roomAgain(t *testing.T, work func() error) {
	t.Helper()
	late, again := time.After(2*time.Minute), time.NewTicker(100*time.Millisecond)
	defer again.Stop()
	for err := work(); err != nil; err = work() {
		if !errors.Is(err, unix.ENOSPC) && !model.IsKind(err, model.KindExhausted) {
			t.Fatalf("once there is room: %v", err)
		}
		select {
		case <-late:
			t.Fatalf("once there is room: %v", err)
		case <-again.C:
		}
	}
}

// F12: a pool of which one volume has taken all, to the last byte. The files of
// others can be read, what needs room is refused for what it is and leaves
// nothing, and room is made by removing what takes it.
func TestF12AFullPoolCanBeEmptied(t *testing.T) {
	t.Parallel()
	b := onPool(t, fusepooltest.Start(t, 96<<20).Command())
	ctx, greedy, other := t.Context(), b.make(t, "greedy", 0), b.make(t, "other", 16<<20)
	write(t, filepath.Join(other, "file"), "kept")
	if err := b.Snapshot(ctx, "other", "before"); err != nil {
		t.Fatal(err)
	}
	stream := b.stream(t, "other", wire.SendVolumeRequest{Snapshot: "before"})
	write(t, filepath.Join(greedy, "file"), "first")
	if err := b.Snapshot(ctx, "greedy", "before"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"all", "more", "and more"} { // ZFS sets some apart for a moment
		fillUp(t, filepath.Join(greedy, name))
	}
	holds(t, filepath.Join(other, "file"), "kept")
	large := bytes.Repeat([]byte("x"), 8<<20)
	if err := os.WriteFile(filepath.Join(other, "large"), large, 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a write beyond what the pool has: %v", err)
	}
	if err := b.Receive(ctx, "copy", wire.ReceiveVolumeRequest{}, bytes.NewReader(stream)); err != nil && !model.IsKind(err, model.KindExhausted) {
		t.Errorf("a stream that does not fit: %v", err)
	}
	if left, err := b.pool.Children(ctx, "incoming", "used"); err != nil || len(left) > 0 {
		t.Errorf("half of anything left: %v, %v", left, err)
	}
	b.open(t) // an agent starts on it, too
	if err := b.RemoveSnapshot(ctx, "other", "before"); err != nil {
		t.Errorf("a snapshot on a full pool cannot be removed: %v", err)
	}
	if err := os.Remove(filepath.Join(b.data(t, "greedy"), "all")); err != nil {
		t.Errorf("a file on a full pool cannot be removed: %v", err)
	}
	roomAgain(t, func() error { return os.WriteFile(filepath.Join(b.data(t, "other"), "large"), large, 0o600) })
	fillUp(t, filepath.Join(b.data(t, "greedy"), "again"))
	if err := b.Remove(ctx, "greedy"); err != nil {
		t.Errorf("a volume that fills its pool cannot be removed: %v", err)
	}
	roomAgain(t, func() error { return b.Snapshot(ctx, "other", "after") })
}

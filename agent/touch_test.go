package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Storage that takes no write is found out although it answers all else; one write hangs and no
// more, and when it ends the storage is well again.
func TestStorageThatDoesNotWriteIsFoundOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		disk := make(chan error)
		p := &parts{stateDir: t.TempDir(), touch: &toucher{write: func() error {
			begun.Add(1)
			return <-disk
		}}}
		ask := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), storagePatience)
			defer cancel()
			_, err := p.freeDisk(ctx)
			return err
		}
		for range 3 {
			if err := ask(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a disk that does not write: %v", err)
			}
		}
		if n := begun.Load(); n != 1 {
			t.Errorf("%d writes were begun while one hangs", n)
		}
		disk <- nil
		if err := ask(); err != nil {
			t.Errorf("after it has written: %v", err)
		}
		if err := ask(); err != nil || begun.Load() != 1 {
			t.Errorf("asked again at once: %v, %d writes", err, begun.Load())
		}
		synctest.Wait()
		pause(t.Context(), touchInterval)
		failed := errors.New("input/output error")
		go func() { disk <- failed }()
		if err := ask(); !errors.Is(err, failed) {
			t.Errorf("a disk that refuses: %v", err)
		}
	})
}

func TestTouchedFilesDoNotGrow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), touchName)
	var size int64
	for range 3 {
		if err := touchFile(path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if size != 0 && info.Size() != size {
			t.Errorf("it has %d bytes, after %d", info.Size(), size)
		}
		size = info.Size()
	}
	if err := touchFile(filepath.Join(t.TempDir(), "none", touchName)); err == nil {
		t.Error("a folder that is not there was written to")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", path); err != nil {
		t.Fatal(err)
	}
	if err := touchFile(path); err == nil {
		t.Error("a link was followed")
	}
}

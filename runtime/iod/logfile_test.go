package iod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

func openLog(t rapid.TB, dir string, s Settings) *logFile {
	t.Helper()
	s.Log = true
	l := newLogFile(dir, s)
	if err := l.load(); err != nil {
		t.Fatal(err)
	}
	return l
}

// gather reads a log until done is closed and nothing is left, by stream.
func gather(t rapid.TB, dir string, watcher *jsonlog.Watcher, done <-chan struct{}) (got [3][]byte) {
	watch, err := watcher.Watch(dir)
	if err != nil {
		t.Error(err)
		return got
	}
	defer watch.Close()
	r, err := jsonlog.Open(dir)
	if err != nil {
		t.Error(err)
		return got
	}
	defer r.Close()
	for last := false; ; {
		var e jsonlog.Entry
		err := r.Next(&e)
		switch {
		case err == nil:
			got[e.Stream] = append(got[e.Stream], e.Text...)
			continue
		case !errors.Is(err, io.EOF):
			t.Error(err)
			return got
		case last:
			if n := r.Lost(); n > 0 {
				t.Errorf("%d bytes are lost", n)
			}
			return got
		}
		select {
		case <-watch.Changed:
		case <-done:
			last = true
		}
	}
}

// Whatever is written, and however often the log is rotated, compressed, or
// its supervisor killed and started again, a follower gets every byte once and in order,
// and so does who reads the log afterwards.
func TestFollowerGetsEveryByteOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "log")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		set := Settings{LogSize: int64(rapid.IntRange(1000, 20_000).Draw(t, "size")), LogFiles: 1000, LogCompress: rapid.Bool().Draw(t, "compress")}
		l := openLog(t, dir, set)
		var watcher jsonlog.Watcher
		done, followed := make(chan struct{}), make(chan [3][]byte, 1)
		go func() { followed <- gather(t, dir, &watcher, done) }()
		var want [3][]byte
		for i := range rapid.IntRange(1, 25).Draw(t, "writes") {
			stream := byte(rapid.IntRange(1, 2).Draw(t, "stream"))
			data := fmt.Appendf(nil, "%d %s", i, strings.Repeat("text\n\xff", rapid.IntRange(0, 200).Draw(t, "repeat")))
			want[stream] = append(want[stream], data...)
			if err := l.write(stream, data); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				if err := l.end(); err != nil {
					t.Fatal(err)
				}
				l = openLog(t, dir, set)
			}
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		close(done)
		later := gather(t, dir, &watcher, done)
		for who, got := range map[string][3][]byte{"the follower": <-followed, "a later reader": later} {
			for stream := range got {
				if !bytes.Equal(got[stream], want[stream]) {
					t.Errorf("%s got %d bytes of stream %d that are not the %d written", who, len(got[stream]), stream, len(want[stream]))
				}
			}
		}
	})
}

// awaitFiles waits until a log has the files that are wanted.
func awaitFiles(t *testing.T, dir string, want func(names []string) bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var names []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		names = nil
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if want(names) {
			return
		}
	}
	t.Fatalf("files: %v", names)
}

func TestRotatedFilesAreCompressedAndDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLog(t, dir, Settings{LogSize: 10_000, LogFiles: 3, LogCompress: true})
	for i := range 2000 {
		if err := l.write(1, fmt.Appendf(nil, "line %d\n", i)); err != nil {
			t.Fatal(err)
		}
	}
	awaitFiles(t, dir, func(names []string) bool {
		return len(names) == 3 && strings.HasSuffix(names[1], ".gz") && strings.HasSuffix(names[2], ".gz")
	})
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	parts, err := jsonlog.Parts(dir)
	if err != nil || len(parts) != 2 || parts[0].End != parts[1].First || parts[1].First < 100_000 {
		t.Errorf("parts %v, %v", parts, err)
	}
}

// A supervisor may be killed at any step of a compression.
func TestCutShortCompressionIsMended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := Settings{LogSize: 2000, LogFiles: 10}
	l := openLog(t, dir, set)
	var want []byte
	for i := range 200 {
		line := fmt.Appendf(nil, "line %d\n", i)
		want = append(want, line...)
		if err := l.write(1, line); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	parts, _ := jsonlog.Parts(dir)
	s := newShelf(dir, set.LogFiles, true)
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	// Killed after the rename: both forms are there. Killed before it: half of one.
	if err := s.deflate(parts[0]); err != nil {
		t.Fatal(err)
	}
	both := parts[0]
	both.Compressed = true
	os.Rename(filepath.Join(dir, tempName), s.path(both))
	os.WriteFile(filepath.Join(dir, tempName), []byte("half"), 0o600)
	check := func() {
		t.Helper()
		done := make(chan struct{})
		close(done)
		var watcher jsonlog.Watcher
		if got := gather(t, dir, &watcher, done); !bytes.HasSuffix(want, got[1]) || len(got[1]) < len(want)/2 {
			t.Errorf("%d bytes came back", len(got[1]))
		}
	}
	check()
	set.LogCompress = true
	l = openLog(t, dir, set)
	if _, err := os.Stat(s.path(parts[0])); !os.IsNotExist(err) {
		t.Errorf("the original stays: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, tempName)); !os.IsNotExist(err) {
		t.Errorf("the half stays: %v", err)
	}
	if err := l.write(1, []byte("more\n")); err != nil {
		t.Fatal(err)
	}
	want = append(want, "more\n"...)
	awaitFiles(t, dir, func(names []string) bool {
		for _, name := range names {
			if name != jsonlog.Name && !strings.HasSuffix(name, ".gz") {
				return false
			}
		}
		return true
	})
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	check()
}

func BenchmarkWriteLog(b *testing.B) {
	for name, line := range map[string]string{"short": "a line of a log, as they are\n", "long": strings.Repeat("x", maxLine-1) + "\n", "zeros": strings.Repeat("\x00", maxLine)} {
		b.Run(name, func(b *testing.B) {
			l := openLog(b, b.TempDir(), Settings{LogSize: 50_000_000, LogFiles: 2})
			data := bytes.Repeat([]byte(line), chunkSize/len(line))
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := l.write(1, data); err != nil {
					b.Fatal(err)
				}
			}
			if err := l.end(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

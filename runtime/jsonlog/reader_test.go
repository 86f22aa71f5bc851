package jsonlog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A logWriter writes the files of a log by hand.
type logWriter struct {
	t   testing.TB
	dir string
	end int64
}

func (w *logWriter) current(b []byte) {
	w.t.Helper()
	f, err := os.OpenFile(filepath.Join(w.dir, Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(b)
		f.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *logWriter) part(b []byte, compressed bool) Part {
	w.t.Helper()
	p := Part{First: w.end, End: w.end + int64(len(b)), Compressed: compressed}
	w.end = p.End
	if compressed {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		z.Write(b)
		z.Close()
		b = out.Bytes()
	}
	if err := os.WriteFile(filepath.Join(w.dir, p.Name()), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// rotate makes what was written a part.
func (w *logWriter) rotate() {
	w.t.Helper()
	path := filepath.Join(w.dir, Name)
	st, err := os.Stat(path)
	if err != nil {
		w.t.Fatal(err)
	}
	p := Part{First: w.end, End: w.end + st.Size()}
	w.end = p.End
	if err := os.Rename(path, filepath.Join(w.dir, p.Name())); err != nil {
		w.t.Fatal(err)
	}
}

func lines(texts ...string) (b []byte) {
	for _, text := range texts {
		b = Append(b, 1, []byte(text), time.Unix(1, 0).UTC())
	}
	return b
}

// rest reads all that there is now.
func rest(t testing.TB, r *Reader) (texts []string) {
	t.Helper()
	for {
		var e Entry
		err := r.Next(&e)
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(e.Text))
	}
}

func same(t testing.TB, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestReaderGoesOnAcrossRotation(t *testing.T) {
	t.Parallel()
	w := &logWriter{t: t, dir: t.TempDir()}
	r, err := Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	same(t, rest(t, r))
	w.current(lines("a", "b"))
	same(t, rest(t, r), "a", "b")
	half := lines("c")
	w.current(half[:10])
	same(t, rest(t, r))
	at := r.Position()
	w.current(half[10:])
	w.current(lines("d"))
	w.rotate() // the reader has the file open
	same(t, rest(t, r), "c", "d")
	same(t, rest(t, r))
	w.part(lines("e"), true)
	w.part(lines("f"), false)
	w.current(lines("g"))
	same(t, rest(t, r), "e", "f", "g")
	if r.Lost() != 0 {
		t.Error("something is said to be lost")
	}
	again, err := OpenAt(w.dir, at)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	same(t, rest(t, again), "c", "d", "e", "f", "g")
	if again.Position() != r.Position() || r.Position() != int64(len(lines("a", "b", "c", "d", "e", "f", "g"))) {
		t.Errorf("positions %d and %d", again.Position(), r.Position())
	}
}

func TestLossIsCounted(t *testing.T) {
	t.Parallel()
	w := &logWriter{t: t, dir: t.TempDir()}
	p := w.part(lines("a"), false)
	q := w.part(lines("b", "c"), true)
	w.current(lines("d"))
	os.Remove(filepath.Join(w.dir, p.Name()))
	os.WriteFile(filepath.Join(w.dir, q.Name()), []byte("not gzip"), 0o600)
	r, err := Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	same(t, rest(t, r), "d")
	if n := r.Lost(); n != q.End {
		t.Errorf("%d bytes lost, not %d", n, q.End)
	}
	// A cursor that is ahead of a log that a power cut has shortened.
	ahead, err := OpenAt(w.dir, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	defer ahead.Close()
	same(t, rest(t, ahead))
	w.current(lines("e"))
	same(t, rest(t, ahead), "e")
}

// A log of a single file is removed when it is full.
func TestLogOfOneFile(t *testing.T) {
	t.Parallel()
	w := &logWriter{t: t, dir: t.TempDir()}
	w.current(lines("a"))
	r, err := Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	same(t, rest(t, r), "a")
	w.current(lines("b"))
	os.Remove(filepath.Join(w.dir, Name))
	same(t, rest(t, r), "b")
	w.current(lines("c"))
	same(t, rest(t, r), "c")
}

func TestTail(t *testing.T) {
	t.Parallel()
	w := &logWriter{t: t, dir: t.TempDir()}
	w.part(lines("1", "2"), true)
	w.part(lines("3", "4", "5"), true)
	w.part(lines("6", "7"), false)
	w.current(lines("8", "9"))
	all := []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}
	for n := -1; n <= len(all)+1; n++ {
		r, err := OpenTail(w.dir, n)
		if err != nil {
			t.Fatal(err)
		}
		want := all
		if n >= 0 {
			want = all[len(all)-min(n, len(all)):]
		}
		if len(want) == 0 {
			want = nil
		}
		same(t, rest(t, r), want...)
		w2 := &logWriter{t: t, dir: t.TempDir()}
		r.Close()
		r, err = OpenTail(w2.dir, n)
		if err != nil {
			t.Fatal(err)
		}
		w2.current(lines("new"))
		same(t, rest(t, r), "new")
		r.Close()
	}
}

func TestOldFilesAreSkipped(t *testing.T) {
	t.Parallel()
	w := &logWriter{t: t, dir: t.TempDir()}
	old := w.part(lines("old"), true)
	w.part(lines("new"), false)
	w.current(lines("now"))
	long := time.Now().Add(-time.Hour)
	os.Chtimes(filepath.Join(w.dir, old.Name()), long, long)
	r, err := Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.SkipBefore(time.Now().Add(-time.Minute))
	same(t, rest(t, r), "new", "now")
	if r.Lost() != 0 {
		t.Error("what was skipped is said to be lost")
	}
}

// FuzzReader puts damage and then good lines into a log, which is rotated, and
// compressed or not, somewhere between them. The damage must cost no good line.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"log":"cut sho`), "one\ntwo\nthree", 1, 2, true)
	f.Add([]byte("\x00\xff\n{}\n[1]\n"), "\n\n", 0, 1, false)
	f.Add(bytes.Repeat([]byte("x"), maxLine+5), strings.Repeat("y", 16<<10), 0, 0, true)
	f.Fuzz(func(t *testing.T, damage []byte, text string, rotateAt, tail int, compressed bool) {
		texts := strings.SplitAfter(text, "\n")
		rotateAt = max(rotateAt, 0) % (len(texts) + 1)
		w := &logWriter{t: t, dir: t.TempDir()}
		log := append(bytes.Clone(damage), '\n')
		for i, text := range texts {
			if i == rotateAt {
				w.part(log, compressed)
				log = nil
			}
			if len(text) > 16<<10 {
				t.Skip("no line is longer in a log")
			}
			if i%2 == 0 {
				log = append(log, lines(text)...)
				continue
			}
			b, err := json.Marshal(map[string]any{"log": text, "raw": []byte(text), "stream": "stdout", "time": time.Unix(1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			log = append(append(log, b...), '\n')
		}
		if rotateAt == len(texts) {
			w.part(log, compressed)
			log = nil
		}
		w.current(log)
		r, err := Open(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got := rest(t, r)
		same(t, got[max(len(got)-len(texts), 0):], texts...)
		tail = max(tail, 0) % (len(texts) + 1)
		last, err := OpenTail(w.dir, tail)
		if err != nil {
			t.Fatal(err)
		}
		defer last.Close()
		same(t, append([]string{}, rest(t, last)...), append([]string{}, texts[len(texts)-tail:]...)...)
	})
}

func TestWatch(t *testing.T) {
	t.Parallel()
	var watcher Watcher
	w := &logWriter{t: t, dir: t.TempDir()}
	other := t.TempDir()
	var watches []*Watch
	for _, dir := range []string{w.dir, w.dir, other} {
		watch, err := watcher.Watch(dir)
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, watch)
	}
	for range 3 {
		w.current(lines("a"))
		<-watches[0].Changed
		<-watches[1].Changed
		w.rotate()
	}
	watches[1].Close()
	w.current(lines("b"))
	<-watches[0].Changed
	select {
	case <-watches[2].Changed:
		t.Error("another log's change is told")
	default:
	}
	watches[0].Close()
	os.RemoveAll(other)
	<-watches[2].Changed
	watches[2].Close()
	if watcher.now != nil {
		t.Error("the watcher goes on without a watch")
	}
	if _, err := watcher.Watch(other); err == nil || watcher.now != nil {
		t.Errorf("a directory that is not there is watched: %v", err)
	}
}

package runtime

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// readBack returns what the reader makes of the log at path.
func readBack(t *testing.T, path string, files, tail int) string {
	t.Helper()
	var out bytes.Buffer
	chain, err := openLogChain(path, files, tail)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.close()
	w := &logWriter{w: bufio.NewWriter(&out), o: LogOptions{Stdout: true, Stderr: true}}
	if err := chain.copy(w); err != nil {
		t.Fatal(err)
	}
	if err := w.w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// FuzzLogReader puts damage and then good lines into a log, which is rotated
// somewhere between them. The damage must cost no good line.
func FuzzLogReader(f *testing.F) {
	f.Add([]byte(`{"log":"cut sho`), "one\ntwo\nthree", 1, 2)
	f.Add([]byte("\x00\xff\n{}\n[1]\n"), "\n\n", 0, 1)
	f.Add(bytes.Repeat([]byte("x"), maxLogLine+5), strings.Repeat("y", 16<<10), 0, 0)
	f.Fuzz(func(t *testing.T, damage []byte, text string, rotateAt, tail int) {
		path := filepath.Join(t.TempDir(), "json.log")
		lines := strings.SplitAfter(strings.ToValidUTF8(text, "?"), "\n")
		rotateAt = max(rotateAt, 0) % (len(lines) + 1)
		log := append(append([]byte(nil), damage...), '\n')
		for i, line := range lines {
			if i == rotateAt {
				if err := os.WriteFile(path+".1", log, 0o600); err != nil {
					t.Fatal(err)
				}
				log = nil
			}
			if len(line) > 16<<10 {
				t.Skip("no line is longer in a log")
			}
			b, err := json.Marshal(logEntry{Log: line, Stream: "stdout", Time: time.Unix(int64(i), 0).UTC()})
			if err != nil {
				t.Fatal(err)
			}
			log = append(append(log, b...), '\n')
		}
		if err := os.WriteFile(path, log, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readBack(t, path, 2, -1); !strings.HasSuffix(got, strings.Join(lines, "")) {
			t.Errorf("%q does not end with %q", got, lines)
		}
		tail = max(tail, 0) % (len(lines) + 1)
		if got, want := readBack(t, path, 2, tail), strings.Join(lines[len(lines)-tail:], ""); got != want {
			t.Errorf("the last %d lines are told as %q, not as %q", tail, got, want)
		}
	})
}

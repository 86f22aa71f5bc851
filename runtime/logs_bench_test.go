package runtime_test

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// BenchmarkLogs reads a log of 1 GiB: all of it, and its last ten lines.
func BenchmarkLogs(b *testing.B) {
	n := newNode(b)
	id := n.create(sh("true"))
	f, err := os.Create(filepath.Join(n.LogDir(id), jsonlog.Name))
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	text := []byte(strings.Repeat("a line of a log, as they are ", 4) + "\n")
	line := jsonlog.Append(nil, 1, text, time.Now().UTC())
	const size = 1 << 30
	for at := 0; at < size; at += len(line) {
		w.Write(line)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	f.Close()
	for name, o := range map[string]runtime.LogOptions{
		"all":    {Stdout: true, Stderr: true, Tail: -1},
		"tail10": {Stdout: true, Stderr: true, Tail: 10},
		"since":  {Stdout: true, Stderr: true, Tail: -1, Since: time.Now()},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := n.Logs(n.ctx, id, o)
				if err != nil {
					b.Fatal(err)
				}
				got, err := io.Copy(io.Discard, r)
				r.Close()
				if err != nil || name == "tail10" && got != int64(10*(8+len(text))) {
					b.Fatalf("%d bytes: %v", got, err)
				}
				if name == "all" {
					b.SetBytes(got)
				}
			}
		})
	}
}

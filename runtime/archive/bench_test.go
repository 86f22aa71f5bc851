package archive_test

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/runtime/archive"
)

// giant is an archive of one file of 1 GiB without a zero in it, made as it is
// read.
func giant(tb testing.TB) io.Reader {
	r, w := io.Pipe()
	go func() {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = byte(i%255 + 1)
		}
		out := tar.NewWriter(w)
		err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "giant", Size: 1 << 30, Mode: 0o644})
		for range 1 << 10 {
			if err == nil {
				_, err = out.Write(block)
			}
		}
		if err == nil {
			err = out.Close()
		}
		w.CloseWithError(err)
	}()
	tb.Cleanup(func() { r.Close() })
	return r
}

func BenchmarkWriteOneGiB(b *testing.B) {
	box := newBox(b)
	r := box.open(b)
	b.SetBytes(1 << 30)
	for b.Loop() {
		if err := r.Write(b.Context(), "/", archive.WriteOptions{}, giant(b)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadOneGiB(b *testing.B) {
	box := newBox(b)
	r := box.open(b)
	if err := r.Write(b.Context(), "/", archive.WriteOptions{}, giant(b)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1 << 30)
	for b.Loop() {
		_, body, err := r.Read(b.Context(), "/giant")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			b.Fatal(err)
		}
		body.Close()
	}
}

// BenchmarkReadSmallFiles reads a tree of 10,000 files of a few bytes.
func BenchmarkReadSmallFiles(b *testing.B) {
	box := newBox(b)
	for i := range 10_000 {
		write(b, filepath.Join(box.root, "tree", string(rune('a'+i%26)), string(rune('a'+i/26%26)), string(rune('a'+i/676))), "a few bytes")
	}
	r := box.open(b)
	for b.Loop() {
		_, body, err := r.Read(b.Context(), "/tree")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			b.Fatal(err)
		}
		body.Close()
	}
	if err := os.RemoveAll(filepath.Join(box.root, "tree")); err != nil {
		b.Fatal(err)
	}
}

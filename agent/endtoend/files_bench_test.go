package endtoend

import (
	"archive/tar"
	"io"
	"testing"

	"github.com/spearheadcloud/spearhead/wire"
)

// BenchmarkCopyOneGiB copies a file of 1 GiB into a running container and out
// of it again, as a head does.
func BenchmarkCopyOneGiB(b *testing.B) {
	n := newNode(b)
	n.start("")
	n.pull()
	r, _ := n.furnish()
	id := r.Container.ID
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i%255 + 1)
	}
	in := func() {
		body, w := io.Pipe()
		go func() {
			out := tar.NewWriter(w)
			err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "giant", Size: 1 << 30, Mode: 0o644})
			for i := 0; i < 1<<10 && err == nil; i++ {
				_, err = out.Write(block)
			}
			if err == nil {
				err = out.Close()
			}
			w.CloseWithError(err)
		}()
		n.ok(n.client.WriteArchive(b.Context(), id, wire.WriteArchiveRequest{Path: "/data"}, body))
	}
	b.Run("in", func(b *testing.B) {
		b.SetBytes(1 << 30)
		for b.Loop() {
			in()
		}
	})
	b.Run("out", func(b *testing.B) {
		in()
		b.SetBytes(1 << 30)
		for b.Loop() {
			archive, err := n.client.ReadArchive(b.Context(), id, "/data/giant")
			n.ok(err)
			_, err = io.Copy(io.Discard, archive)
			n.ok(err)
			archive.Close()
		}
	})
}

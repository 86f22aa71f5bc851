package image_test

import (
	"bytes"
	"fmt"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/imagetest"
)

// BenchmarkPull pulls an image of 4 layers with 64 MiB of files, and removes
// it again.
func BenchmarkPull(b *testing.B) {
	registry := imagetest.StartRegistry(b)
	var layers []imagetest.Layer
	total := 0
	for i := range 4 {
		var entries []imagetest.Entry
		for j := range 256 {
			content := bytes.Repeat(fmt.Appendf(nil, "%d %d some text that is compressed\n", i, j), 2048)[:64<<10]
			entries = append(entries, imagetest.File(fmt.Sprintf("l%d/%d/%d", i, j/32, j), string(content), 0o644))
			total += len(content)
		}
		layers = append(layers, imagetest.Gzip(imagetest.Tar(b, entries...)))
	}
	push(b, registry, "big:1", layers, imagetest.Config(ocispec.ImageConfig{}))
	for _, s := range setups {
		b.Run(s.name, func(b *testing.B) {
			needRoot(b)
			store := open(b, s.config(b))
			b.SetBytes(int64(total))
			for b.Loop() {
				img := pull(b, store, registry+"/big:1")
				b.StopTimer()
				if err := store.Remove(b.Context(), img.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkRoot makes, mounts and removes the root of a container.
func BenchmarkRoot(b *testing.B) {
	registry := imagetest.StartRegistry(b)
	layers, config := imagetest.BusyboxImage(b)
	push(b, registry, "busybox:1", layers, config)
	for _, s := range setups {
		b.Run(s.name, func(b *testing.B) {
			needRoot(b)
			store := open(b, s.config(b))
			img := pull(b, store, registry+"/busybox:1")
			ctx := b.Context()
			b.Run("prepare+mount+remove", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					id := fmt.Sprint("c", i)
					if err := store.PrepareRoot(ctx, id, img.ID, 1<<30); err != nil {
						b.Fatal(err)
					}
					if _, err := store.MountRoot(ctx, id); err != nil {
						b.Fatal(err)
					}
					if err := store.RemoveRoot(ctx, id); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("prepare", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					id := fmt.Sprint("p", i)
					if err := store.PrepareRoot(ctx, id, img.ID, 1<<30); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					if err := store.RemoveRoot(ctx, id); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		})
	}
}

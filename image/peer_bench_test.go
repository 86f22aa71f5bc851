package image_test

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
)

// BenchmarkSecondNode is how fast another node comes to an image: from the
// registry on loopback, and from a node that holds it.
func BenchmarkSecondNode(b *testing.B) {
	needRoot(b)
	registry := imagetest.StartRegistry(b)
	const size = 16 << 20
	layers := []imagetest.Layer{noise(b, 1, size), noise(b, 2, size), noise(b, 3, size)}
	push(b, registry, "noise:1", layers, imagetest.Config(ocispec.ImageConfig{}))
	holder := open(b, image.Config{Root: storeDir(b)})
	img := pull(b, holder, registry+"/noise:1")
	second := open(b, image.Config{Root: storeDir(b)})
	for _, way := range []struct {
		name string
		come func() error
	}{
		{"registry", func() error { pull(b, second, registry+"/noise:1"); return nil }},
		{"holder", func() error {
			_, _, err := second.Copy(b.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{holder}}, nil)
			return err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(int64(len(layers)) * size)
			var spent float64
			for b.Loop() {
				before := cpuTime(b, "self")
				if err := way.come(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				spent += cpuTime(b, "self") - before
				if err := second.Remove(b.Context(), img.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(spent/float64(b.N), "cpu-ms/op")
		})
	}
}

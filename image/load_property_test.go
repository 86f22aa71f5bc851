package image_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// TestLoadGivesBackWhatSaveTook makes images of few different layers, so that
// they share some, saves some of them, forgets all and loads the archive.
func TestLoadGivesBackWhatSaveTook(t *testing.T) {
	needRoot(t)
	t.Parallel()
	cfg := setups[0].config(t)
	s := open(t, cfg)
	pack := []func([]byte) imagetest.Layer{imagetest.Plain, imagetest.Gzip, imagetest.Zstd}
	rapid.Check(t, func(r *rapid.T) {
		var want []loadedImage
		var list []image.SavedImage
		seen := make(map[string]bool)
		for i := range rapid.IntRange(1, 3).Draw(r, "images") {
			var layers []imagetest.Layer
			for range rapid.IntRange(0, 3).Draw(r, "layers") {
				kind := rapid.IntRange(0, 3).Draw(r, "kind")
				archive := imagetest.Tar(t, imagetest.Dir("d/", 0o755), imagetest.File(fmt.Sprintf("d/%d", kind), "text", 0o644))
				layers = append(layers, rapid.SampledFrom(pack).Draw(r, "packing")(archive))
			}
			entries := ociEntries(t, layers, imagetest.Config(ocispec.ImageConfig{}), "x")
			if rapid.Bool().Draw(r, "older") {
				entries = dockerEntries(t, layers, imagetest.Config(ocispec.ImageConfig{}), "x")
			}
			loaded, _ := loads(t, s, imagetest.Tar(t, entries...))
			img := loaded[0].image
			if seen[img.ID] {
				continue
			}
			seen[img.ID] = true
			var refs []string
			for tag := range rapid.IntRange(0, 2).Draw(r, "names") {
				refs = append(refs, fmt.Sprintf("registry.test/image-%d:%d", i, tag))
			}
			list = append(list, image.SavedImage{ImageID: img.ID, Refs: refs})
			want = append(want, loadedImage{img, refs})
		}
		archive := saves(t, s, list...)
		for _, img := range list {
			if err := s.Remove(t.Context(), img.ImageID); err != nil {
				r.Fatal(err)
			}
		}
		if left := files(t, cfg.Root); len(left) != 0 {
			r.Fatalf("removed images leave %v", left)
		}
		got, _ := loads(t, s, archive)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(loadedImage{})); diff != "" {
			r.Fatalf("loaded (-want +got):\n%s", diff)
		}
		if !bytes.Equal(saves(t, s, list...), archive) {
			r.Fatal("saved again it is another archive")
		}
		for _, img := range list {
			if err := s.Remove(t.Context(), img.ImageID); err != nil {
				r.Fatal(err)
			}
		}
	})
}

// FuzzLoad holds a load of anything to this: it ends, what is wrong is the
// archive's fault and not the node's, and nothing of it stays.
func FuzzLoad(f *testing.F) {
	needRoot(f)
	layers, config := threeLayers(f)
	layers[0] = imagetest.Plain(gunzip(f, layers[0].Blob))
	for _, entries := range [][]imagetest.Entry{
		ociEntries(f, layers[2:], config, oneName), dockerEntries(f, layers[2:], config, "three:1"), legacyEntries(f, layers[:1], `{"x":{"y":"z"}}`), deepIndexes(f, 2),
	} {
		archive := imagetest.Tar(f, entries...)
		f.Add(archive)
		f.Add(imagetest.Gzip(archive).Blob)
	}
	cfg := setups[0].config(f)
	s := open(f, cfg)
	f.Fuzz(func(t *testing.T, archive []byte) {
		var ids []string
		err := s.Load(t.Context(), bytes.NewReader(archive), image.LoadRequest{Loaded: func(img model.Image, _ []string) { ids = append(ids, img.ID) }})
		switch model.KindOf(err) {
		case model.KindInvalid, model.KindTooLarge, model.KindNotFound:
		default:
			if err != nil {
				t.Errorf("load: %v", err)
			}
		}
		for _, id := range ids {
			if err := s.Remove(t.Context(), id); err != nil && !model.IsKind(err, model.KindNotFound) {
				t.Errorf("remove: %v", err)
			}
		}
		if left := files(t, cfg.Root); len(left) != 0 {
			t.Errorf("it leaves %v", left)
		}
	})
}

package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// madeImage is an image that a test makes up: layers by their contents.
type madeImage struct {
	Layers []madeLayer
	Older  bool // it comes in an archive of an older Docker
	Names  int
}

type madeLayer struct{ Content, Packing int }

// madeImages draws images of few different layers, so that they share some.
var madeImages = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) madeImage {
	layer := rapid.Custom(func(r *rapid.T) madeLayer {
		return madeLayer{rapid.IntRange(0, 3).Draw(r, "content"), rapid.IntRange(0, 2).Draw(r, "packing")}
	})
	return madeImage{
		Layers: rapid.SliceOfN(layer, 0, 3).Draw(r, "layers"), Older: rapid.Bool().Draw(r, "older"), Names: rapid.IntRange(0, 2).Draw(r, "names"),
	}
}), 1, 3)

// archive is the image as an archive.
func (m madeImage) archive(t testing.TB) []byte {
	pack := []func([]byte) imagetest.Layer{imagetest.Plain, imagetest.Gzip, imagetest.Zstd}
	var layers []imagetest.Layer
	for _, l := range m.Layers {
		layers = append(layers, pack[l.Packing](imagetest.Tar(t, imagetest.Dir("d/", 0o755), imagetest.File(fmt.Sprintf("d/%d", l.Content), "text", 0o644))))
	}
	if m.Older {
		return imagetest.Tar(t, dockerEntries(t, layers, imagetest.Config(ocispec.ImageConfig{}), "x")...)
	}
	return imagetest.Tar(t, ociEntries(t, layers, imagetest.Config(ocispec.ImageConfig{}), "x")...)
}

// TestLoadGivesBackWhatSaveTook saves images, forgets them and loads the
// archive. A rapid.Check would do so a hundred times, which the disk makes slow.
func TestLoadGivesBackWhatSaveTook(t *testing.T) {
	needRoot(t)
	t.Parallel()
	cfg := setups[0].config(t)
	s := open(t, cfg)
	for range 6 {
		seed := rand.Int()
		made := madeImages.Example(seed)
		if err := saveAndLoad(t, s, cfg, made); err != nil {
			t.Fatalf("seed %d, images %+v: %v", seed, made, err)
		}
	}
}

func saveAndLoad(t *testing.T, s *image.Store, cfg image.Config, made []madeImage) error {
	var want []loadedImage
	var list []image.SavedImage
	for i, m := range made {
		loaded, _ := loads(t, s, m.archive(t))
		img := loaded[0].image
		if slices.ContainsFunc(list, func(other image.SavedImage) bool { return other.ImageID == img.ID }) {
			continue
		}
		var refs []string
		for tag := range m.Names {
			refs = append(refs, fmt.Sprintf("registry.test/image-%d:%d", i, tag))
		}
		list = append(list, image.SavedImage{ImageID: img.ID, Refs: refs})
		want = append(want, loadedImage{img, refs})
	}
	archive := saves(t, s, list...)
	if err := removeAll(t, s, cfg, list); err != nil {
		return err
	}
	got, _ := loads(t, s, archive)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(loadedImage{})); diff != "" {
		return fmt.Errorf("loaded (-want +got):\n%s", diff)
	}
	if !bytes.Equal(saves(t, s, list...), archive) {
		return errors.New("saved again it is another archive")
	}
	return removeAll(t, s, cfg, list)
}

func removeAll(t *testing.T, s *image.Store, cfg image.Config, list []image.SavedImage) error {
	for _, img := range list {
		if err := s.Remove(t.Context(), img.ImageID); err != nil {
			return err
		}
	}
	if left := files(t, cfg.Root); len(left) != 0 {
		return fmt.Errorf("removed images leave %v", left)
	}
	return nil
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

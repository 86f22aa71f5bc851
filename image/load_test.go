package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

const (
	oneName   = "docker.io/library/three:1"
	otherName = "registry.test:5000/some/three:other"
)

func TestWhatWasSavedIsLoadedByTheSameDigests(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		layers, config := threeLayers(t)
		archive := imagetest.Tar(t, ociEntries(t, layers, config, oneName)...)
		s := open(t, cfg)
		first, unpacked := loads(t, s, archive)
		if len(first) != 1 || len(unpacked) != len(layers) {
			t.Fatalf("%d images, %d layers unpacked; want 1, %d", len(first), len(unpacked), len(layers))
		}
		img := first[0].image
		if want := imageID(t, layers, config); img.ID != want {
			t.Errorf("image %s, want %s", img.ID, want)
		}
		saved := saves(t, s, image.SavedImage{ImageID: img.ID, Refs: []string{oneName, otherName}})
		if again := saves(t, s, image.SavedImage{ImageID: img.ID, Refs: []string{oneName, otherName}}); !bytes.Equal(again, saved) {
			t.Error("the same request gives another archive")
		}
		if _, unpacked := loads(t, s, saved); len(unpacked) != 0 {
			t.Errorf("layers %v are unpacked again", unpacked)
		}
		if err := s.Remove(t.Context(), img.ID); err != nil {
			t.Fatal(err)
		}
		if left := files(t, cfg.Root); len(left) != 0 {
			t.Errorf("after the image is removed there is %v", left)
		}
		second, _ := loads(t, s, saved)
		want := []loadedImage{{img, []string{oneName, otherName}}}
		if diff := cmp.Diff(want, second, cmp.AllowUnexported(loadedImage{})); diff != "" {
			t.Errorf("loaded (-want +got):\n%s", diff)
		}
		checkTree(t, mounted(t, s, "c1", img.ID))
	})
}

func TestArchivesOfManyImagesHoldSharedLayersOnce(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	layers, config := threeLayers(t)
	lower, _ := loads(t, s, imagetest.Tar(t, ociEntries(t, layers[:2], config, oneName)...))
	upper, unpacked := loads(t, s, imagetest.Tar(t, ociEntries(t, layers, config, otherName)...))
	if len(unpacked) != 1 {
		t.Errorf("%d layers are unpacked for the second image, want its own one", len(unpacked))
	}
	both := saves(t, s, image.SavedImage{ImageID: lower[0].image.ID}, image.SavedImage{ImageID: upper[0].image.ID, Refs: []string{otherName}})
	for name, times := range entryNames(t, both) {
		if times != 1 {
			t.Errorf("%s is in the archive %d times", name, times)
		}
	}
	got, _ := loads(t, s, both)
	want := []loadedImage{{lower[0].image, nil}, {upper[0].image, []string{otherName}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(loadedImage{})); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
	usage, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Three layers, two configurations, two manifests; three chains.
	if len(usage.Blobs) != 7 || len(usage.Layers) != 3 {
		t.Errorf("%d blobs and %d layers, want 7 and 3", len(usage.Blobs), len(usage.Layers))
	}
	for _, layer := range upper[0].image.Layers() {
		if usage.Layers[layer.ChainID] != layer.Size {
			t.Errorf("layer %s takes %d bytes, the image says %d", layer.ChainID, usage.Layers[layer.ChainID], layer.Size)
		}
	}
}

func TestArchivesOfOlderDockersAreLoaded(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	layers, config := threeLayers(t)
	layers[0] = imagetest.Plain(gunzip(t, layers[0].Blob))
	for name, entries := range map[string][]imagetest.Entry{
		"1.10": dockerEntries(t, layers, config, "three:1"),
		"1.8":  legacyEntries(t, layers, `{"three":{"1":"`+strings.Repeat("c", 64)+`"}}`),
	} {
		got, _ := loads(t, s, imagetest.Tar(t, entries...))
		if len(got) != 1 || len(got[0].refs) != 1 || got[0].refs[0] != oneName {
			t.Fatalf("%s: loaded %+v", name, got)
		}
		img := got[0].image
		if name == "1.10" && img.ID != imageID(t, layers, config) {
			t.Errorf("%s: image %s, want %s", name, img.ID, imageID(t, layers, config))
		}
		if name == "1.8" && (img.History[2].CreatedBy != "/bin/sh -c step c" || img.Config.Env[0] != "A=b" || img.Created.Year() != 2015) {
			t.Errorf("%s: image is %+v", name, img)
		}
		checkTree(t, mounted(t, s, "c"+img.ID[7:19], img.ID))
		saved, _ := loads(t, s, saves(t, s, image.SavedImage{ImageID: img.ID}))
		if diff := cmp.Diff(img, saved[0].image); diff != "" {
			t.Errorf("%s: saved and loaded it is another image:\n%s", name, diff)
		}
	}
	// Without names it is the images that no other stands upon.
	unnamed, _ := loads(t, s, imagetest.Tar(t, legacyEntries(t, layers[:2], "")...))
	if len(unnamed) != 1 || len(unnamed[0].refs) != 0 || len(unnamed[0].image.DiffIDs) != 2 {
		t.Errorf("without names: %+v", unnamed)
	}
}

// TestImagesOfOldArchivesHaveDockersIDs compares with the id that dockerd
// 20.10.24 gave to the image of the same archive.
func TestImagesOfOldArchivesHaveDockersIDs(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	layers, _ := threeLayers(t)
	layers[1] = imagetest.Gzip(imagetest.Tar(t, imagetest.File("etc/.wh.gone", "", 0), imagetest.File("old/b", "new", 0o644)))
	layers[2] = imagetest.Plain(imagetest.Tar(t, imagetest.File("changed", "new text", 0o4755)))
	got, _ := loads(t, s, imagetest.Tar(t, legacyEntries(t, layers, `{"three":{"old":"`+strings.Repeat("c", 64)+`"}}`)...))
	const want = "sha256:443c74cf4509d122f8ea6948dc8a7e8a54c66a82e5169c0cfa2d0731369b3e88"
	if got[0].image.ID != want {
		t.Errorf("image %s, Docker's is %s", got[0].image.ID, want)
	}
}

func TestCompressedArchivesAreLoadedAndImported(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	layers, config := threeLayers(t)
	archive := imagetest.Tar(t, ociEntries(t, layers, config, oneName)...)
	root := imagetest.Tar(t, imagetest.File("hello", "world", 0o600))
	var imported string
	for name, pack := range map[string]func(testing.TB, []byte) []byte{
		"plain": func(_ testing.TB, data []byte) []byte { return data },
		"gzip":  func(_ testing.TB, data []byte) []byte { return imagetest.Gzip(data).Blob },
		"zstd":  func(_ testing.TB, data []byte) []byte { return imagetest.Zstd(data).Blob },
		"bzip2": program("bzip2"), "xz": program("xz"),
	} {
		if got, _ := loads(t, s, pack(t, archive)); len(got) != 1 || got[0].refs[0] != oneName {
			t.Errorf("%s: loaded %+v", name, got)
		}
		img, err := s.Import(t.Context(), bytes.NewReader(pack(t, root)), image.ImportOptions{
			Config: model.ImageConfig{Cmd: []string{"/hello"}}, Comment: "Imported from -",
		})
		if err != nil {
			t.Errorf("%s: import: %v", name, err)
			continue
		}
		if imported == "" {
			imported = img.ID
		}
		if img.ID != imported || img.Config.Cmd[0] != "/hello" || img.History[0].Comment != "Imported from -" || img.Architecture != runtime.GOARCH || img.Size != 5 {
			t.Errorf("%s: image is %+v", name, img)
		}
	}
	if text, err := os.ReadFile(filepath.Join(mounted(t, s, "c1", imported), "hello")); string(text) != "world" {
		t.Errorf("the imported file is %q (%v)", text, err)
	}
	if _, err := s.Import(t.Context(), strings.NewReader("no archive, but long enough"+strings.Repeat(".", 1024)), image.ImportOptions{}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("import of no archive: %v", err)
	}
}

func TestFilesOfZerosComeBack(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	zeros := imagetest.Plain(imagetest.Tar(t, imagetest.File("zeros", strings.Repeat("\x00", 104<<20), 0o644)))
	got, _ := loads(t, s, imagetest.Tar(t, dockerEntries(t, []imagetest.Layer{zeros}, imagetest.Config(ocispec.ImageConfig{}), "zeros")...))
	saved := saves(t, s, image.SavedImage{ImageID: got[0].image.ID})
	if err := s.Remove(t.Context(), got[0].image.ID); err != nil {
		t.Fatal(err)
	}
	if again, _ := loads(t, s, saved); again[0].image.Digest != got[0].image.Digest {
		t.Errorf("loaded %s, saved %s", again[0].image.Digest, got[0].image.Digest)
	}
	t.Logf("%d bytes of archive", len(saved))
}

func TestLoadTakesThePlatformThatWasAskedFor(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	layers, config := threeLayers(t)
	var index []ocispec.Descriptor
	var blobs [][]byte
	for _, arch := range []string{"riscv64", runtime.GOARCH} {
		config.Architecture = arch
		parts, m, err := imagetest.Assemble(layers, config)
		if err != nil {
			t.Fatal(err)
		}
		index = append(index, describe(ocispec.MediaTypeImageManifest, m))
		blobs = append(append(blobs, parts...), m)
	}
	index = append(index, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, Digest: describe("", []byte("of what was built how")).Digest, Size: 3, Platform: &ocispec.Platform{OS: "unknown", Architecture: "unknown"},
	})
	nested := []byte(jsonText(t, map[string]any{"schemaVersion": 2, "manifests": index}))
	outer := []ocispec.Descriptor{describe(ocispec.MediaTypeImageIndex, nested)}
	archive := imagetest.Tar(t, layoutEntries(t, outer, append(blobs, nested)...)...)

	got, _ := loads(t, s, archive)
	if len(got) != 1 || got[0].image.Architecture != runtime.GOARCH {
		t.Errorf("without a platform: %+v", got)
	}
	var asked string
	err := s.Load(t.Context(), bytes.NewReader(archive), image.LoadRequest{Platform: "linux/riscv64", Loaded: func(img model.Image, _ []string) { asked = img.Architecture }})
	if err != nil || asked != "riscv64" {
		t.Errorf("with a platform: %q (%v)", asked, err)
	}
	if err := loadError(t, s, archive, "linux/s390x"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a platform that is not there: %v", err)
	}
	// An archive may hold one platform of an index only.
	part := imagetest.Tar(t, layoutEntries(t, outer, append(blobs[:5:5], nested)...)...)
	if got, _ := loads(t, s, part); len(got) != 1 || got[0].image.Architecture != "riscv64" {
		t.Errorf("one platform of several: %+v", got)
	}
}

func TestLoadThatIsCutOffLeavesNothing(t *testing.T) {
	needRoot(t)
	t.Parallel()
	cfg := setups[0].config(t)
	s := open(t, cfg)
	layers, config := threeLayers(t)
	archive := imagetest.Tar(t, ociEntries(t, layers, config, oneName)...)
	for at := 0; at < len(archive)-2048; at += 509 {
		if err := loadError(t, s, archive[:at], ""); !model.IsKind(err, model.KindInvalid) {
			t.Fatalf("cut off after %d of %d bytes: %v", at, len(archive), err)
		}
	}
	broken := io.MultiReader(bytes.NewReader(archive[:2000]), failingReader{})
	if err := s.Load(t.Context(), broken, image.LoadRequest{}); err == nil {
		t.Error("an archive that cannot be read is loaded")
	}
	if left := files(t, cfg.Root); len(left) != 0 {
		t.Errorf("it leaves %v", left)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("broken line") }

func imageID(t testing.TB, layers []imagetest.Layer, config ocispec.Image) string {
	t.Helper()
	blobs, _, err := imagetest.Assemble(layers, config)
	if err != nil {
		t.Fatal(err)
	}
	return describe("", blobs[len(blobs)-1]).Digest.String()
}

func gunzip(t testing.TB, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// program compresses by a program of the machine.
func program(name string) func(testing.TB, []byte) []byte {
	return func(t testing.TB, data []byte) []byte {
		t.Helper()
		cmd := exec.Command(name, "-c")
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("needs %s: apt install %s", name, name)
		}
		return out
	}
}

// entryNames counts the entries of an archive by name.
func entryNames(t testing.TB, archive []byte) map[string]int {
	t.Helper()
	names := make(map[string]int)
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names[header.Name]++
	}
}

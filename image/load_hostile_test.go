package image_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// changed changes the entries whose names fit.
func changed(entries []imagetest.Entry, fits func(name string) bool, change func(*imagetest.Entry)) []imagetest.Entry {
	out := make([]imagetest.Entry, 0, len(entries))
	for _, e := range entries {
		if fits(e.Name) {
			change(&e)
		}
		out = append(out, e)
	}
	return out
}

func named(name string) func(string) bool { return func(other string) bool { return other == name } }

func with(entries []imagetest.Entry, e imagetest.Entry) []imagetest.Entry {
	return append(slices.Clone(entries), e)
}

func without(entries []imagetest.Entry, name string) []imagetest.Entry {
	var out []imagetest.Entry
	for _, e := range entries {
		if e.Name != name {
			out = append(out, e)
		}
	}
	return out
}

// TestHostileArchivesAreRefused loads archives that are wrong in one thing
// each, and looks that nothing of them stays.
func TestHostileArchivesAreRefused(t *testing.T) {
	needRoot(t)
	t.Parallel()
	cfg := setups[0].config(t)
	s := open(t, cfg)
	layers, config := threeLayers(t)
	layers[0] = imagetest.Plain(gunzip(t, layers[0].Blob))
	oci := ociEntries(t, layers, config, oneName)
	docker := dockerEntries(t, layers, config, "three:1")
	legacy := legacyEntries(t, layers, `{"three":{"1":"`+strings.Repeat("c", 64)+`"}}`)
	blob := func(i int) string { return "blobs/sha256/" + layers[i].DiffID.Encoded() }
	text := func(s string) func(*imagetest.Entry) {
		return func(e *imagetest.Entry) { e.Content = []byte(s) }
	}
	for name, c := range map[string]struct {
		entries []imagetest.Entry
		want    string
	}{
		"nothing":                {nil, "neither an index.json"},
		"a root file system":     {[]imagetest.Entry{imagetest.File("etc/passwd", "root", 0o644)}, "docker import"},
		"absolute name":          {with(oci, imagetest.File("/etc/passwd", "x", 0o644)), "leads out of it"},
		"name above":             {with(oci, imagetest.File("a/../../x", "x", 0o644)), "leads out of it"},
		"long name":              {with(oci, imagetest.File(strings.Repeat("x", 5000), "x", 0o644)), "longer than"},
		"link above":             {with(oci, imagetest.Symlink("x", "../../etc/passwd")), "leads out of it"},
		"link to the machine":    {changed(docker, named("manifest.json"), func(e *imagetest.Entry) { *e = imagetest.Symlink("manifest.json", "/etc/passwd") }), "leads out of it"},
		"hard link above":        {with(oci, imagetest.Hardlink("x", "../etc/passwd")), "leads out of it"},
		"device":                 {with(oci, imagetest.Entry{Header: tar.Header{Name: "x", Typeflag: tar.TypeBlock, Devmajor: 8}}), "neither a file"},
		"loop of links":          {[]imagetest.Entry{imagetest.Symlink("manifest.json", "x"), imagetest.Symlink("x", "manifest.json")}, "neither an index.json"},
		"wrong digest":           {changed(oci, named(blob(0)), text("other bytes")), "another digest"},
		"digest of no kind":      {with(oci, imagetest.File("blobs/md5/aa", "x", 0o644)), "sha256"},
		"digest in a folder":     {with(oci, imagetest.File("blobs/sha256/x/"+layers[0].DiffID.Encoded(), "x", 0o644)), "sha256"},
		"missing layer":          {without(oci, blob(0)), "is not in it"},
		"version of layout":      {changed(oci, named("oci-layout"), text(`{"imageLayoutVersion":"2.0.0"}`)), "version"},
		"index of nonsense":      {changed(oci, named("index.json"), text(`{"schemaVersion":2,"manifests":7}`)), "cannot be read"},
		"index is no JSON":       {changed(oci, named("index.json"), text("hello")), "index.json"},
		"empty index":            {changed(oci, named("index.json"), text(`{"schemaVersion":2,"manifests":[]}`)), "empty"},
		"name of an escape":      {ociEntries(t, layers, config, "x\x1b[2J"), "invalid reference"},
		"missing manifest":       {changed(oci, named("index.json"), text(jsonText(t, ocispec.Index{Manifests: []ocispec.Descriptor{describe(ocispec.MediaTypeImageManifest, []byte("gone"))}}))), "is not in it"},
		"index in a loop":        {deepIndexes(t, 40), "deep"},
		"many indexes":           {wideIndexes(t), "manifests"},
		"docker: no layer":       {without(docker, strings.Repeat("a", 64)+"/real.tar"), "is not in it"},
		"docker: no config":      {changed(docker, named("manifest.json"), text(`[{"Config":"x.json","Layers":[]}]`)), "is not in it"},
		"docker: config out":     {changed(docker, named("manifest.json"), text(`[{"Config":"/etc/passwd","Layers":[]}]`)), "is not in it"},
		"docker: tag":            {dockerEntries(t, layers, config, "UPPER:1"), "invalid reference"},
		"docker: by digest":      {dockerEntries(t, layers, config, "x@sha256:"+strings.Repeat("a", 64)), "digest"},
		"docker: other layer":    {changed(docker, named(strings.Repeat("a", 64)+"/real.tar"), text(string(imagetest.Tar(t, imagetest.File("x", "x", 0o644))))), "other bytes"},
		"docker: empty list":     {changed(docker, named("manifest.json"), text(`[]`)), "0 images"},
		"docker: 300 layers":     {changed(docker, named("manifest.json"), text(`[{"Config":"manifest.json","Layers":["x"`+strings.Repeat(`,"x"`, 300)+`]}]`)), "301 layers"},
		"legacy: loop":           {changed(legacy, named(strings.Repeat("a", 64)+"/json"), text(`{"parent":"`+strings.Repeat("c", 64)+`"}`)), "layers"},
		"legacy: no top":         {changed(legacy, named("repositories"), text(`{"x":{"y":"../../etc"}}`)), "is not in it"},
		"legacy: no layer":       {without(legacy, strings.Repeat("b", 64)+"/layer.tar"), "is not in it"},
		"layer that escapes":     {ociEntries(t, []imagetest.Layer{imagetest.Gzip(imagetest.Tar(t, imagetest.Symlink("x", "/etc"), imagetest.Hardlink("y", "../../../etc/passwd")))}, config, oneName), "failed to register layer"},
		"layer unpacks to other": {lyingEntries(t, layers, config), "other bytes"},
		"many entries":           {manyEntries(17000), "entries"},
	} {
		err := loadError(t, s, imagetest.Tar(t, c.entries...), "")
		if !model.IsKind(err, model.KindInvalid) && !model.IsKind(err, model.KindTooLarge) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v; want a refusal with %q", name, err, c.want)
		}
	}
	if left := files(t, cfg.Root); len(left) != 0 {
		t.Errorf("they leave %v", left)
	}
}

// lyingEntries are a layout whose configuration names other layers than the
// ones that are there.
func lyingEntries(t testing.TB, layers []imagetest.Layer, config ocispec.Image) []imagetest.Entry {
	lies := append([]imagetest.Layer{}, layers...)
	lies[0].DiffID = layers[1].DiffID
	return ociEntries(t, lies, config, oneName)
}

func deepIndexes(t testing.TB, depth int) []imagetest.Entry {
	var blobs [][]byte
	below := describe(ocispec.MediaTypeImageManifest, []byte("{}"))
	for range depth {
		index := []byte(jsonText(t, ocispec.Index{Manifests: []ocispec.Descriptor{below}}))
		blobs = append(blobs, index)
		below = describe(ocispec.MediaTypeImageIndex, index)
	}
	return layoutEntries(t, []ocispec.Descriptor{below}, blobs...)
}

// wideIndexes are few documents that lead to very many manifests.
func wideIndexes(t testing.TB) []imagetest.Entry {
	below := describe(ocispec.MediaTypeImageManifest, []byte("{}"))
	var blobs [][]byte
	for range 4 {
		var list []ocispec.Descriptor
		for range 1000 {
			list = append(list, below)
		}
		index := []byte(jsonText(t, ocispec.Index{Manifests: list}))
		blobs = append(blobs, index)
		below = describe(ocispec.MediaTypeImageIndex, index)
	}
	return layoutEntries(t, []ocispec.Descriptor{below}, blobs...)
}

func manyEntries(n int) []imagetest.Entry {
	entries := make([]imagetest.Entry, n)
	for i := range entries {
		entries[i] = imagetest.Dir("d/", 0o755)
	}
	return entries
}

func TestArchivesThatUnpackTooFarAreRefused(t *testing.T) {
	needRoot(t)
	t.Parallel()
	cfg := setups[0].config(t)
	s := open(t, cfg)
	zeros := imagetest.Tar(t, imagetest.File("oci-layout", strings.Repeat("\x00", 104<<20), 0o644))
	for what, err := range map[string]error{
		"load of zstd":   loadError(t, s, imagetest.Zstd(zeros).Blob, ""),
		"import of gzip": importError(t, s, imagetest.QuickGzip(zeros).Blob),
	} {
		if !model.IsKind(err, model.KindInvalid) || !strings.Contains(err.Error(), "times its size") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if left := files(t, cfg.Root); len(left) != 0 {
		t.Errorf("they leave %v", left)
	}
}

func importError(t testing.TB, s *image.Store, archive []byte) error {
	t.Helper()
	_, err := s.Import(t.Context(), bytes.NewReader(archive), image.ImportOptions{})
	return err
}

// TestKnowingADigestGivesNothing loads archives of somebody who knows the
// digests of an image that others hold here, and not its bytes.
func TestKnowingADigestGivesNothing(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	layers, config := threeLayers(t)
	secret, _ := loads(t, s, imagetest.Tar(t, ociEntries(t, layers, config, oneName)...))

	_, m, err := imagetest.Assemble(layers, config)
	if err != nil || describe("", m).Digest.String() != secret[0].image.Digest {
		t.Fatal("not the manifest that was loaded", err)
	}
	bare := layoutEntries(t, []ocispec.Descriptor{describe(ocispec.MediaTypeImageManifest, m)})
	if err := loadError(t, s, imagetest.Tar(t, bare...), ""); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("by the manifest's digest: %v", err)
	}
	var noLayers []imagetest.Entry
	for _, e := range ociEntries(t, layers, config, oneName) {
		if !bytes.Equal(e.Content, layers[1].Blob) {
			noLayers = append(noLayers, e)
		}
	}
	if err := loadError(t, s, imagetest.Tar(t, noLayers...), ""); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("without a layer: %v", err)
	}
	// A layer of nothing that pretends to unpack to what is unpacked here.
	fake := imagetest.Gzip(imagetest.Tar(t))
	fake.DiffID = layers[0].DiffID
	config.Author = "somebody else"
	if err := loadError(t, s, imagetest.Tar(t, ociEntries(t, []imagetest.Layer{fake}, config, oneName)...), ""); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("with other bytes for a layer: %v", err)
	}
}

func TestNamesOfSavedImagesAreHeldToTheRules(t *testing.T) {
	needRoot(t)
	t.Parallel()
	s := open(t, setups[0].config(t))
	layers, config := threeLayers(t)
	got, _ := loads(t, s, imagetest.Tar(t, ociEntries(t, layers, config, oneName)...))
	for _, ref := range []string{"UPPER", "x@" + got[0].image.Digest} {
		if _, err := s.Save(t.Context(), []image.SavedImage{{ImageID: got[0].image.ID, Refs: []string{ref}}}); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	if _, err := s.Save(t.Context(), []image.SavedImage{{ImageID: got[0].image.Digest}}); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("an image that is not there: %v", err)
	}
}

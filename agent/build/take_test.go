package build

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// keep puts content where a builder keeps it.
func keep(t *testing.T, b *Builders, content []byte) ocispec.Descriptor {
	t.Helper()
	d := digest.FromBytes(content)
	dir := filepath.Join(b.cacheDir("a1"), contentDir, "sha256")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, d.Encoded()), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return ocispec.Descriptor{Digest: d, Size: int64(len(content))}
}

func keepJSON(t *testing.T, b *Builders, v any) ocispec.Descriptor {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return keep(t, b, text)
}

func TestWhatWasBuiltCanBeCopied(t *testing.T) {
	t.Parallel()
	b := &Builders{cfg: Config{StateDir: t.TempDir()}}
	layer, config := keep(t, b, []byte("a layer")), keepJSON(t, b, ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"})
	manifest := keepJSON(t, b, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{layer, layer}})
	foreign, own := manifest, manifest
	foreign.Digest, foreign.Platform = digest.FromString("x"), &ocispec.Platform{OS: "linux", Architecture: "vax"}
	own.Platform = &ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	index := keepJSON(t, b, ocispec.Index{Manifests: []ocispec.Descriptor{foreign, own}})
	want := model.Image{
		ID: config.Digest.String(), Digest: manifest.Digest.String(), MediaType: ocispec.MediaTypeImageManifest,
		OS: "linux", Architecture: "arm", Variant: "v7",
	}
	for _, of := range []ocispec.Descriptor{manifest, index} {
		img, content, err := b.Built("a1", of.Digest.String())
		if diff := cmp.Diff(want, img); diff != "" || err != nil {
			t.Errorf("%s, error %v", diff, err)
		}
		size, r, err := content.Blob(t.Context(), layer.Digest.String(), 2)
		if err != nil || size != layer.Size {
			t.Fatalf("a layer of %d bytes, want %d; error %v", size, layer.Size, err)
		}
		if text, err := io.ReadAll(r); string(text) != "layer" || err != nil {
			t.Errorf("from its third byte on it holds %q, error %v", text, err)
		}
		r.Close()
	}
}

func TestOnlyWhatABuilderKeepsCanBeTaken(t *testing.T) {
	t.Parallel()
	b := &Builders{cfg: Config{StateDir: t.TempDir()}}
	alien := keepJSON(t, b, ocispec.Index{Manifests: []ocispec.Descriptor{{Platform: &ocispec.Platform{OS: "linux", Architecture: "vax"}}}})
	config := keepJSON(t, b, ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH})
	// Its layer is another account's, whose digest is known.
	borrowed := keepJSON(t, b, ocispec.Manifest{Config: config, Layers: []ocispec.Descriptor{{Digest: digest.FromString("secret")}}})
	for of, kind := range map[string]model.Kind{
		digest.FromString("nothing").String(): model.KindNotFound, "sha256:../../../etc/passwd": model.KindInvalid, "": model.KindInvalid,
		alien.Digest.String(): model.KindNotFound, borrowed.Digest.String(): model.KindNotFound,
	} {
		if _, _, err := b.Built("a1", of); !model.IsKind(err, kind) {
			t.Errorf("%q: %v", of, err)
		}
	}
	if _, _, err := b.Built("../a1", alien.Digest.String()); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("an account that is a path: %v", err)
	}
}

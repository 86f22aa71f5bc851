package build

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

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

func TestWhatWasBuiltBecomesAnArchive(t *testing.T) {
	t.Parallel()
	b := &Builders{cfg: Config{StateDir: t.TempDir()}}
	layer, config := keep(t, b, []byte("a layer")), keep(t, b, []byte("{}"))
	manifest := keepJSON(t, b, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{layer, layer}})
	foreign, own := manifest, manifest
	foreign.Digest, foreign.Platform = digest.FromString("x"), &ocispec.Platform{OS: "linux", Architecture: "vax"}
	own.Platform = &ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	index := keepJSON(t, b, ocispec.Index{Manifests: []ocispec.Descriptor{foreign, own}})
	for _, of := range []ocispec.Descriptor{manifest, index} {
		var out bytes.Buffer
		if err := b.Archive("a1", of.Digest.String(), &out); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for r := tar.NewReader(&out); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, _ := io.ReadAll(r)
			files[h.Name] = string(content)
		}
		for _, name := range []string{"oci-layout", "index.json", "manifest.json", blobPath(layer.Digest), blobPath(config.Digest), blobPath(manifest.Digest)} {
			if _, ok := files[name]; !ok {
				t.Errorf("the archive lacks %s", name)
			}
		}
		var list []archived
		if err := json.Unmarshal([]byte(files["manifest.json"]), &list); err != nil || len(list) != 1 || len(list[0].Layers) != 2 {
			t.Errorf("manifest.json: %+v, %v", list, err)
		}
	}
}

func TestOnlyWhatABuilderKeepsCanBeTaken(t *testing.T) {
	t.Parallel()
	b := &Builders{cfg: Config{StateDir: t.TempDir()}}
	alien := keepJSON(t, b, ocispec.Index{Manifests: []ocispec.Descriptor{{Platform: &ocispec.Platform{OS: "linux", Architecture: "vax"}}}})
	for of, kind := range map[string]model.Kind{
		digest.FromString("nothing").String(): model.KindNotFound, "sha256:../../../etc/passwd": model.KindInvalid, "": model.KindInvalid,
		alien.Digest.String(): model.KindNotFound,
	} {
		if err := b.Archive("a1", of, io.Discard); !model.IsKind(err, kind) {
			t.Errorf("%q: %v", of, err)
		}
	}
	if err := b.Archive("../a1", alien.Digest.String(), io.Discard); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("an account that is a path: %v", err)
	}
}

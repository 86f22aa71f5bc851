package image_test

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// loadedImage is what a load told of an image.
type loadedImage struct {
	image model.Image
	refs  []string
}

// loads takes an archive and returns its images, and the layers that were
// unpacked.
func loads(t testing.TB, s *image.Store, archive []byte) (images []loadedImage, unpacked []string) {
	t.Helper()
	err := s.Load(t.Context(), bytes.NewReader(archive), image.LoadRequest{
		Progress: func(p image.Progress) {
			if p.Status == image.StatusLoading && !slices.Contains(unpacked, p.Layer) {
				unpacked = append(unpacked, p.Layer)
			}
		},
		Loaded: func(img model.Image, refs []string) { images = append(images, loadedImage{img, refs}) },
	})
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return images, unpacked
}

// loadError takes an archive that is to be refused.
func loadError(t testing.TB, s *image.Store, archive []byte, platform string) error {
	t.Helper()
	return s.Load(t.Context(), bytes.NewReader(archive), image.LoadRequest{Platform: platform})
}

func saves(t testing.TB, s *image.Store, list ...image.SavedImage) []byte {
	t.Helper()
	archive, err := s.Save(t.Context(), list)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		t.Fatalf("read archive: %v", err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// ociEntries are the entries of an OCI layout with one image.
func ociEntries(t testing.TB, layers []imagetest.Layer, config ocispec.Image, name string) []imagetest.Entry {
	t.Helper()
	blobs, m, err := imagetest.Assemble(layers, config)
	if err != nil {
		t.Fatal(err)
	}
	desc := describe(ocispec.MediaTypeImageManifest, m)
	desc.Annotations = map[string]string{"io.containerd.image.name": name, ocispec.AnnotationRefName: "any"}
	return layoutEntries(t, []ocispec.Descriptor{desc}, append(blobs, m)...)
}

func layoutEntries(t testing.TB, index []ocispec.Descriptor, blobs ...[]byte) []imagetest.Entry {
	t.Helper()
	entries := []imagetest.Entry{
		imagetest.File("oci-layout", `{"imageLayoutVersion":"1.0.0"}`, 0o644),
		imagetest.File("index.json", jsonText(t, map[string]any{"schemaVersion": 2, "manifests": index}), 0o644),
		imagetest.Dir("blobs/", 0o755), imagetest.Dir("blobs/sha256/", 0o755),
	}
	for _, blob := range blobs {
		entries = append(entries, imagetest.File("blobs/sha256/"+digest.FromBytes(blob).Encoded(), string(blob), 0o644))
	}
	return entries
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func jsonText(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// dockerEntries are the entries of what Docker 1.10 to 24 saves: a directory
// for each layer, and the same layer a second time by a link.
func dockerEntries(t testing.TB, layers []imagetest.Layer, config ocispec.Image, tags ...string) []imagetest.Entry {
	t.Helper()
	config.RootFS.Type = "layers"
	var entries []imagetest.Entry
	var names []string
	for i, layer := range layers {
		dir := strings.Repeat(string(rune('a'+i)), 64)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.DiffID)
		entries = append(entries, imagetest.Dir(dir+"/", 0o755), imagetest.File(dir+"/VERSION", "1.0", 0o644),
			imagetest.File(dir+"/json", "{}", 0o644), imagetest.File(dir+"/real.tar", string(layer.Blob), 0o644),
			imagetest.Symlink(dir+"/layer.tar", "../"+dir+"/real.tar"))
		names = append(names, dir+"/layer.tar")
	}
	text := jsonText(t, config)
	id := digest.FromString(text).Encoded()
	manifest := []map[string]any{{"Config": id + ".json", "RepoTags": tags, "Layers": names}}
	return append(entries, imagetest.File(id+".json", text, 0o644), imagetest.File("manifest.json", jsonText(t, manifest), 0o644),
		imagetest.File("repositories", "{}", 0o644))
}

// legacyEntries are the entries of what Docker 1.8 saves.
func legacyEntries(t testing.TB, layers []imagetest.Layer, repositories string) []imagetest.Entry {
	t.Helper()
	var entries []imagetest.Entry
	parent := ""
	for i, layer := range layers {
		id := strings.Repeat(string(rune('a'+i)), 64)
		config := map[string]any{
			"id": id, "created": "2015-10-31T22:22:56.015925234Z", "docker_version": "1.8.3", "architecture": "amd64", "os": "linux", "Size": 7,
			"container_config": map[string]any{"Cmd": []string{"/bin/sh", "-c", "step " + id[:1]}}, "config": map[string]any{"Cmd": []string{"sh"}, "Env": []string{"A=b"}},
		}
		if parent != "" {
			config["parent"] = parent
		}
		entries = append(entries, imagetest.Dir(id+"/", 0o755), imagetest.File(id+"/VERSION", "1.0", 0o644),
			imagetest.File(id+"/json", jsonText(t, config), 0o644), imagetest.File(id+"/layer.tar", string(layer.Blob), 0o644))
		parent = id
	}
	if repositories != "" {
		entries = append(entries, imagetest.File("repositories", repositories, 0o644))
	}
	return entries
}

package image_test

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
)

// TestImagesOfDockersFormat has what docker push sends: a manifest and a
// manifest list of Docker's own media types (image manifest version 2, schema 2).
func TestImagesOfDockersFormat(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	registry := imagetest.StartRegistry(t)
	layers, config := threeLayers(t)
	layers = layers[:1]
	push(t, registry, "docker:oci", layers, config)
	m := mustManifest(t, layers, config)
	m.MediaType = images.MediaTypeDockerSchema2Manifest
	m.Config.MediaType = images.MediaTypeDockerSchema2Config
	m.Layers[0].MediaType = images.MediaTypeDockerSchema2LayerGzip
	one := pushDocument(t, registry, "one", m.MediaType, m)
	one.Platform = &ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	foreign := one
	foreign.Platform = &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	list := ocispec.Index{Versioned: m.Versioned, MediaType: images.MediaTypeDockerSchema2ManifestList, Manifests: []ocispec.Descriptor{foreign, one}}
	all := pushDocument(t, registry, "all", list.MediaType, list)
	for tag, want := range map[string]string{"one": one.Digest.String(), "all": all.Digest.String()} {
		img, resolved, _, err := s.Pull(t.Context(), image.PullRequest{Ref: registry + "/docker:" + tag}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resolved != want || img.ID != m.Config.Digest.String() || img.Architecture != runtime.GOARCH {
			t.Errorf("%s: image %s of %s from %s, want %s from %s", tag, img.ID, img.Architecture, resolved, m.Config.Digest, want)
		}
	}
	mounted(t, s, "c1", m.Config.Digest.String())
}

func pushDocument(t *testing.T, registry, tag, mediaType string, document any) ocispec.Descriptor {
	t.Helper()
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := imagetest.PushManifest(t.Context(), registry, "docker", tag, mediaType, data)
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

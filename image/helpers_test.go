package image_test

import (
	"encoding/json"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/imagetest"
)

func mustManifest(t testing.TB, layers []imagetest.Layer, config ocispec.Image) ocispec.Manifest {
	t.Helper()
	_, data, err := imagetest.Assemble(layers, config)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

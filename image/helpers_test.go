package image_test

import (
	"encoding/json"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
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

// testPool starts a real pool that ends with the test.
func testPool(t testing.TB) *zfs.Pool {
	t.Helper()
	d := fusepooltest.Start(t, 512<<20)
	p, err := zfs.Open(t.Context(), zfs.Config{Dataset: d.Pool + "/spearhead", Command: d.Command()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

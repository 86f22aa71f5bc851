package image_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool"
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
	needRoot(t)
	dir := poolDir(t)
	d, err := fusepool.Start(t.Context(), fusepool.Config{Dir: dir, Size: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	p, err := zfs.Open(t.Context(), zfs.Config{Dataset: d.Pool + "/spearhead", Command: d.Command()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// poolDir makes a directory for a pool that leaves nothing behind.
func poolDir(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("zfs-fuse"); err != nil {
		t.Skip("needs zfs-fuse: apt install zfs-fuse")
	}
	dir := filepath.Join(t.TempDir(), "pool")
	t.Cleanup(func() {
		if err := fusepool.Destroy(context.Background(), dir); err != nil {
			t.Errorf("destroy pool: %v", err)
		}
	})
	return dir
}

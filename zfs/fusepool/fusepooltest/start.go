package fusepooltest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/zfs/fusepool"
)

// Start starts a pool of so many bytes that ends with the test. The test is
// skipped where there can be none.
func Start(t testing.TB, size int64) *fusepool.Daemon {
	t.Helper()
	d, err := fusepool.Start(t.Context(), fusepool.Config{Dir: Dir(t), Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Dir is a directory for a pool that the test starts itself, perhaps in another
// process. The pool is destroyed when the test ends.
func Dir(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: a pool is mounted")
	}
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

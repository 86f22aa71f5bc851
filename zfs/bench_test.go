package zfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// BenchmarkClone clones a dataset, mounted and with its quota, as a container's root is made, and
// destroys it again. On zfs-fuse most of it is the start of the commands.
func BenchmarkClone(b *testing.B) {
	p, ctx := openPool(b, fusepooltest.Start(b, poolSize)), b.Context()
	dir, err := p.Create(ctx, "image", nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 200 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), make([]byte, 4096), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Snapshot(ctx, "image@base"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Clone(ctx, "image@base", "root", map[string]string{"quota": "134217728"}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := p.Destroy(ctx, "root"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkCreate makes a dataset with a quota, as a volume is made.
func BenchmarkCreate(b *testing.B) {
	p, ctx := openPool(b, fusepooltest.Start(b, poolSize)), b.Context()
	for b.Loop() {
		if _, err := p.Create(ctx, "volume", map[string]string{"refquota": "16777216"}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := p.Destroy(ctx, "volume"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

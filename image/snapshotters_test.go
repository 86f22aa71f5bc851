package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"

	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// Both snapshotters pass containerd's own suite. The names given to it select
// what it knows overlay and others to do differently.

func TestOverlaySnapshotterKeepsTheContract(t *testing.T) {
	requireRoot(t)
	testsuite.SnapshotterSuite(t, "overlayfs", func(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		s := &Store{root: root, snapshotter: Overlay}
		sn, err := s.newSnapshotter(Config{})
		if err != nil {
			return nil, nil, err
		}
		return sn, sn.Close, nil
	})
}

func TestDatasetSnapshotterKeepsTheContract(t *testing.T) {
	d := fusepooltest.Start(t, 1<<30)
	var trees atomic.Int32
	testsuite.SnapshotterSuite(t, "zfs", func(ctx context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		pool, err := zfs.Open(ctx, zfs.Config{Dataset: fmt.Sprintf("%s/t%d", d.Pool, trees.Add(1)), Command: d.Command()})
		if err != nil {
			return nil, nil, err
		}
		sn, err := newDatasetSnapshotter(filepath.Join(root, "zfs"), pool)
		if err != nil {
			return nil, nil, err
		}
		return sn, sn.Close, nil
	})
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: snapshots are mounted")
	}
}

package zfs_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// A pool that is started while another one mounts and unmounts keeps none of the
// other's datasets mounted, which could not be destroyed then as long as it runs.
func TestPoolsKeepNoOthersDatasets(t *testing.T) {
	t.Parallel()
	first := fusepooltest.Start(t, poolSize)
	p, err := zfs.Open(t.Context(), zfs.Config{Dataset: first.Pool + "/t", Command: first.Command()})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var makers sync.WaitGroup
	for maker := range 2 {
		makers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("d%d-%d", maker, n)
				_, err := p.Create(t.Context(), name, nil)
				if err == nil {
					err = p.Destroy(t.Context(), name)
				}
				if err != nil {
					t.Errorf("beside a pool that starts: %v", err)
					return
				}
			}
		})
	}
	for range 2 {
		later := fusepooltest.Start(t, poolSize)
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", daemonPid(t, later)))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(mounts)) {
			if strings.Contains(line, first.Mountpoint) {
				t.Errorf("another pool's daemon keeps a mount: %s", line)
			}
		}
	}
	close(stop)
	makers.Wait()
}

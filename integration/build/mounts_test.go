package build

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// A builder begins with a copy of its node's mounts, and lives on for minutes
// after a build: what containers have must be removable meanwhile.
func TestBuildersKeepNoContainersFiles(t *testing.T) {
	builders(t) // or a skip
	if _, err := exec.LookPath("zfs"); err != nil {
		t.Skip("needs ZFS or zfs-fuse: a dataset that is mounted anywhere cannot be destroyed")
	}
	b, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "zfs"), "--storage", "zfs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Docker(t, "volume", "create", "before")
	id := b.Run(t, "-v", "before:/data", b.Image, "sleep", "1000")
	one := builder{"classic", b.With("", "DOCKER_CONFIG="+emptyConfig(t), "DOCKER_BUILDKIT=0")}
	one.built(t, "beside", folder(t, map[string]string{"Dockerfile": "FROM " + b.Image + "\nRUN echo built >/built\n"}))
	b.Docker(t, "rm", "-f", id)
	b.Docker(t, "volume", "rm", "before")
	bed.Eventually(t, func() error { // a volume's files go after its name
		left, err := filepath.Glob(filepath.Join(b.Dir, "pool", "mnt", "*", "*", "volumes", "*"))
		if err != nil || len(left) != 0 {
			return fmt.Errorf("the removed volume is still there: %v %w", left, err)
		}
		return nil
	})
}

package volumes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting = bed.Setting{Options: []string{"--nodes", "2"}}

// pooled is the rack with ZFS, which the first test that needs it brings up.
var pooled struct {
	sync.Once
	*bed.Bed
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := setting.Main(m)
	if pooled.Bed != nil {
		if err := pooled.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if pooled.dir != "" {
		_ = os.RemoveAll(pooled.dir)
	}
	os.Exit(code)
}

// onZFS is the rack with ZFS, or a skip.
func onZFS(t *testing.T) *bed.Bed {
	t.Helper()
	setting.Shared(t)
	if _, err := exec.LookPath("zfs"); err != nil {
		t.Skip("needs ZFS or zfs-fuse: volumes as datasets")
	}
	pooled.Do(func() {
		if pooled.dir, pooled.err = os.MkdirTemp("", "spearhead-volumes-"); pooled.err == nil {
			pooled.Bed, pooled.err = setting.New(context.Background(), filepath.Join(pooled.dir, "zfs"), "--nodes", "2", "--storage", "zfs")
		}
	})
	if pooled.err != nil {
		t.Fatal(pooled.err)
	}
	return pooled.Bed
}

// each runs a test on both sorts of storage.
func each(t *testing.T, test func(*testing.T, *bed.Bed)) {
	t.Run("directories", func(t *testing.T) { t.Parallel(); test(t, setting.Shared(t)) })
	t.Run("datasets", func(t *testing.T) { t.Parallel(); test(t, onZFS(t)) })
}

var noName = regexp.MustCompile(`[^a-z0-9]+`)

// unique is a name for what this test alone makes.
func unique(t *testing.T) string {
	return strings.Trim(noName.ReplaceAllString(strings.ToLower(strings.TrimPrefix(t.Name(), "Test")), "-"), "-")
}

// volume makes a volume that is removed when the test has ended.
func volume(t *testing.T, b *bed.Bed, suffix string, options ...string) string {
	t.Helper()
	name := unique(t) + suffix
	removeLater(t, b, name)
	if got := b.Docker(t, append(append([]string{"volume", "create"}, options...), name)...); got != name {
		t.Fatalf("volume create printed %q", got)
	}
	return name
}

func removeLater(t *testing.T, b *bed.Bed, names ...string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, name := range names {
			if out, err := b.Client(ctx, "volume", "rm", "-f", name).CombinedOutput(); err != nil {
				t.Errorf("docker volume rm -f %s: %v: %s", name, err, out)
			}
		}
	})
}

// once runs a command in a container that is gone afterwards, and returns what it printed.
func once(t *testing.T, b *bed.Bed, options []string, command string) string {
	t.Helper()
	return b.Docker(t, append(append([]string{"run", "--rm"}, options...), b.Image, "sh", "-c", command)...)
}

// refused calls docker, which must fail and say what is wanted.
func refused(t *testing.T, b *bed.Bed, want string, args ...string) {
	t.Helper()
	done := b.Try(t, args...)
	if done.Code == 0 || !strings.Contains(done.Stderr, want) {
		t.Errorf("docker %s: code %d, %q; want a refusal with %q", strings.Join(args, " "), done.Code, done.Stderr, want)
	}
}

// homes lists the nodes that hold volumes of the rack, by the number of them.
func homes(t *testing.T, b *bed.Bed) map[string]int {
	t.Helper()
	held := map[string]int{}
	for _, node := range []string{"node-1", "node-2"} {
		entries, err := os.ReadDir(filepath.Join(b.Dir, node, "state", "volumes"))
		if err != nil {
			t.Fatal(err)
		}
		held[node] = len(entries)
	}
	return held
}

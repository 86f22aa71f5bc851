package volumes

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting = bed.Setting{Options: []string{"--nodes", "2"}}

func TestMain(m *testing.M) { os.Exit(setting.Main(m)) }

// everywhere are the tests that pass on both sorts of storage, by what they are about and
// their numbers in the list of acceptance cases.
var everywhere = map[string]func(*testing.T, *bed.Bed){
	"V01 create": v01CreateDefaults, "V02 create again": v02CreateIsIdempotent, "V03 bad names": v03BadNames,
	"V04 bad sizes": v04Sizes, "V06 in use": v06DeleteInUse, "V07 rename": v07Rename, "V08 no network": v08NoNetworkIsNeeded,
	"V09 mounts": v09MountForm, "V10 V17 images": v10v17VolumesOfImages, "V11 paths": v11LocalPaths,
	"V12 sharing": v12SharingWithModes, "V13 delete order": v13DeleteOrder, "V14 host paths": v14HostPathsAreNotForTenants,
	"V15 made anew": v15SameNameAnewIsEmpty, "V16 filters": v16Filters, "V18 modes": v18Modes,
	"parts": partsOfVolumes, "unbound": unboundUntilUsed,
}

func TestOnDirectories(t *testing.T) {
	t.Parallel()
	all(t, setting.Shared(t), everywhere)
}

func TestOnZFS(t *testing.T) {
	t.Parallel()
	setting.Shared(t) // or a skip
	if _, err := exec.LookPath("zfs"); err != nil {
		t.Skip("needs ZFS or zfs-fuse: volumes as datasets")
	}
	b, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "zfs"), "--nodes", "2", "--storage", "zfs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("all", func(t *testing.T) { all(t, b, everywhere); all(t, b, onlyZFS) })
	t.Run("default size", func(t *testing.T) { defaultSize(t, b) })
	t.Run("F29 hangs", func(t *testing.T) { storageHangs(t, b) })
}

// On real machines, with OpenZFS, which package metal has.
func TestTheListElsewhere(t *testing.T) {
	b := setting.Elsewhere(t)
	t.Run("all", func(t *testing.T) { all(t, b, everywhere); all(t, b, onlyZFS) })
	t.Run("default size", func(t *testing.T) { defaultSize(t, b) })
}

// onlyZFS are the tests of what only ZFS can do.
var onlyZFS = map[string]func(*testing.T, *bed.Bed){
	"V04 V05 V19 V20 sizes": sizes, "V21 snapshots": snapshotsAndClones, "streams": streams, "move": move, "accounts": accountsOwn,
}

func all(t *testing.T, b *bed.Bed, tests map[string]func(*testing.T, *bed.Bed)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, b) })
	}
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

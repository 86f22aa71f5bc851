package metal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/metal/guest"
)

// A machine by itself: what all the others stand on.
func TestAMachineBootsTakesCommandsAndHasOpenZFS(t *testing.T) {
	if tests.missing != "" {
		t.Skip(tests.missing)
	}
	dir := filepath.Join(t.TempDir(), "machine")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	m, err := guest.Boot(ctx, guest.Config{Image: tests.image, Dir: dir, Name: "alone", Memory: 768, Disks: []int64{256 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := m.Write(ctx, "/root/file", "text"); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{
		"hostname; cat /root/file": "alone\ntext",
		"modprobe zfs && zpool create t /dev/disk/by-id/virtio-disk-0 && zpool list -H -o health t": "ONLINE",
		"systemctl --failed --no-legend | wc -l":                                                    "0",
		"stat -f -c %T /sys/fs/cgroup":                                                              "cgroup2fs",
	} {
		if got, err := m.Run(ctx, command); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", command, got, err, want)
		}
	}
	if done, err := m.Try(ctx, "echo out; echo err >&2; exit 7", nil); err != nil || done != (guest.Outcome{Stdout: "out\n", Stderr: "err\n", Code: 7}) {
		t.Errorf("a command that fails: %+v, %v", done, err)
	}
	if _, err := m.Run(ctx, "exit 7"); err == nil || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("a command that must not fail, and does: %v", err)
	}
}

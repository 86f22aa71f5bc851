package volumes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// operate calls the operator's commands about volumes, which must fail with what is wanted,
// or succeed where that is empty.
func operate(t *testing.T, b *bed.Bed, want string, args ...string) string {
	t.Helper()
	out, err := b.Spearhead(t.Context(), []string{"SPEARHEAD_SOCKET=" + b.Setting("SPEARHEAD_SOCKET")}, append([]string{"volume"}, args...)...)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("spearhead volume %s: %v; want %q", strings.Join(args, " "), err, want)
	}
	return out
}

// A volume that is full is full for those who mount it, and for nobody else.
func sizes(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "", "-o", "size=16m")
	refused(t, b, "already exists with another size", "volume", "create", "-o", "size=32m", name)
	const write = "dd if=/dev/urandom of=/data/big bs=1M count=%d conv=fsync 2>&1; true"
	id := b.Run(t, "-v", name+":/data", b.Image, "sleep", "1000")
	if got := b.Docker(t, "exec", id, "sh", "-c", fmt.Sprintf(write, 40)); !strings.Contains(got, "No space left") && !strings.Contains(got, "quota exceeded") {
		t.Errorf("40 MiB into 16: %s", got)
	}
	free := b.Run(t, "-v", "/data", b.Image, "sleep", "1000")
	if got := b.Docker(t, "exec", free, "sh", "-c", fmt.Sprintf(write, 20)); !strings.Contains(got, "20+0 records out") {
		t.Errorf("another volume: %s", got)
	}
	operate(t, b, "which is more than", "resize", "dev/"+name, "8m")
	operate(t, b, "", "resize", "dev/"+name, "64m")
	if got := b.Docker(t, "exec", id, "sh", "-c", fmt.Sprintf(write, 30)); !strings.Contains(got, "30+0 records out") {
		t.Errorf("after it has grown: %s", got)
	}
	bed.Eventually(t, func() error {
		if got := b.Docker(t, "system", "df", "-v"); !strings.Contains(got, name) || strings.Contains(got, name+"   1         0B") {
			return fmt.Errorf("system df -v: %s", got)
		}
		return nil
	})
	// V19, for a container's own files.
	small := b.Run(t, "--storage-opt", "size=32m", b.Image, "sleep", "1000")
	if got := b.Docker(t, "exec", small, "sh", "-c", strings.ReplaceAll(fmt.Sprintf(write, 60), "/data/", "/")); !strings.Contains(got, "No space left") && !strings.Contains(got, "quota exceeded") {
		t.Errorf("60 MiB into a container of 32: %s", got)
	}
	huge := volume(t, b, "-huge", "-o", "size=900t")
	refused(t, b, "No compute resources available", "run", "--rm", "-v", huge+":/d", b.Image, "true")
}

// The size that the operator has set is that of volumes made without one, however they come to
// be, and from then on.
func defaultSize(t *testing.T, b *bed.Bed) {
	before := volume(t, b, "-before")
	operate(t, b, "", "default-size", "16m")
	t.Cleanup(func() {
		b.Operator(t, "volume", "default-size", "0")
	})
	if got := operate(t, b, "", "default-size"); !strings.Contains(got, "16MiB") {
		t.Errorf("the default size is shown as %q", got)
	}
	plain, implied, sized := volume(t, b, "-plain"), unique(t)+"-implied", volume(t, b, "-sized", "-o", "size=64m")
	removeLater(t, b, implied)
	for name, full := range map[string]bool{before: false, plain: true, implied: true, sized: false} {
		got := once(t, b, []string{"-v", name + ":/data"}, "dd if=/dev/urandom of=/data/big bs=1M count=24 conv=fsync 2>&1 || true")
		if strings.Contains(got, "24+0 records out") == full {
			t.Errorf("24 MiB into %s: %s", name, got)
		}
	}
}

func snapshotsAndClones(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	ref := "dev/" + name
	operate(t, b, "on no node yet", "snapshot", ref, "monday")
	mount := []string{"-v", name + ":/data"}
	for _, day := range []string{"monday", "tuesday"} {
		once(t, b, mount, "echo "+day+" > /data/file")
		operate(t, b, "", "snapshot", ref, day)
	}
	operate(t, b, "has a snapshot monday already", "snapshot", ref, "monday")
	operate(t, b, "data center's own", "snapshot", ref, "spearhead-x")
	if got := strings.Fields(operate(t, b, "", "snapshots", ref)); len(got) != 9 || got[3] != "monday" || got[6] != "tuesday" {
		t.Errorf("snapshots: %v", got)
	}
	clone := name + "-clone"
	removeLater(t, b, clone)
	operate(t, b, "", "clone", ref, clone, "--snapshot", "monday")
	if got := once(t, b, []string{"-v", clone + ":/data"}, "cat /data/file"); got != "monday" {
		t.Errorf("the clone holds %q", got)
	}
	id := b.Run(t, append(mount, b.Image, "sleep", "1000")...)
	operate(t, b, "running containers", "restore", ref, "monday")
	b.Docker(t, "stop", "-t", "0", id)
	operate(t, b, "has no snapshot", "restore", ref, "sunday")
	operate(t, b, "", "restore", ref, "monday")
	b.Docker(t, "start", id)
	if got := b.Docker(t, "exec", id, "cat", "/data/file"); got != "monday" {
		t.Errorf("after the restore the volume holds %q", got)
	}
	b.Docker(t, "rm", "-f", id)
	b.Docker(t, "volume", "rm", name)
	// The clone outlives it, though zfs-fuse shows it anew when it has no origin any more, and a
	// container that starts in that moment is refused.
	bed.Eventually(t, func() error {
		if done := b.Try(t, "run", "--rm", "-v", clone+":/data", b.Image, "cat", "/data/file"); strings.TrimSpace(done.Stdout) != "monday" {
			return fmt.Errorf("without its origin the clone holds %q%s", done.Stdout, done.Stderr)
		}
		return nil
	})
	operate(t, b, "no such volume", "snapshots", ref)
}

func streams(t *testing.T, b *bed.Bed) {
	name, file := volume(t, b, ""), filepath.Join(t.TempDir(), "backup")
	once(t, b, []string{"-v", name + ":/data"}, "echo first > /data/file")
	operate(t, b, "", "snapshot", "dev/"+name, "base")
	operate(t, b, "", "send", "dev/"+name, "--snapshot", "base", "-o", file)
	once(t, b, []string{"-v", name + ":/data"}, "echo second > /data/file")
	operate(t, b, "", "send", "dev/"+name, "--base", "base", "-o", file+".more")
	copied := name + "-copy"
	removeLater(t, b, copied)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".half", whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	operate(t, b, "ends too early", "receive", "dev/"+copied, "-i", file+".half")
	operate(t, b, "", "receive", "dev/"+copied, "-i", file, "--node", "node-2", "--size", "64m")
	look := func() string { return once(t, b, []string{"-v", copied + ":/data"}, "cat /data/file") }
	if got := look(); got != "first" {
		t.Errorf("the copy holds %q", got)
	}
	operate(t, b, "", "receive", "dev/"+copied, "-i", file+".more", "--changes")
	if got := look(); got != "second" {
		t.Errorf("with the changes the copy holds %q", got)
	}
	if got := operate(t, b, "", "ls"); !strings.Contains(got, "dev/"+copied) || !strings.Contains(got, "node-2") || !strings.Contains(got, "64MiB") {
		t.Errorf("volumes:\n%s", got)
	}
}

// nodeOf is the node that the operator sees a volume on; "" is none.
func nodeOf(t *testing.T, b *bed.Bed, name string) string {
	t.Helper()
	for line := range strings.Lines(operate(t, b, "", "ls")) {
		fields := strings.Fields(line)
		if fields[0] != "dev/"+name {
			continue
		}
		if i := slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, "node-") }); i >= 0 {
			return fields[i]
		}
		return ""
	}
	t.Fatalf("there is no volume %s", name)
	return ""
}

func move(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "", "-o", "size=64m")
	mount := []string{"-v", name + ":/data"}
	once(t, b, mount, "echo early > /data/file")
	operate(t, b, "", "snapshot", "dev/"+name, "early")
	once(t, b, mount, "echo late > /data/file")
	from := nodeOf(t, b, name)
	to := map[string]string{"node-1": "node-2", "node-2": "node-1"}[from]
	operate(t, b, "is on node "+from+" already", "move", "dev/"+name, from)
	id := b.Run(t, append(mount, b.Image, "sleep", "1000")...)
	operate(t, b, "in use by 1 containers", "move", "dev/"+name, to)
	b.Docker(t, "rm", "-f", id)
	operate(t, b, "", "move", "dev/"+name, to)
	if got := nodeOf(t, b, name); got != to {
		t.Errorf("after the move it is on %s", got)
	}
	if got := once(t, b, mount, "cat /data/file"); got != "late" {
		t.Errorf("after the move it holds %q", got)
	}
	operate(t, b, "", "restore", "dev/"+name, "early")
	if got := once(t, b, mount, "cat /data/file"); got != "early" {
		t.Errorf("the snapshot that moved along holds %q", got)
	}
	bed.Eventually(t, func() error { // and back, once nothing is left there
		_, err := b.Spearhead(t.Context(), []string{"SPEARHEAD_SOCKET=" + b.Setting("SPEARHEAD_SOCKET")}, "volume", "move", "dev/"+name, from)
		return err
	})
}

package metal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn takes zfs-fuse's place where tests of other packages start it: the pool that they
// make with zpool and a file is the kernel module's then. What a test before has left behind is
// let go of first, as a daemon does that ends.
const standIn = `#!/bin/sh
for pool in $(zpool list -H -o name); do
	[ $pool = bay ] || zpool export -f $pool
done
setsid sleep infinity &
echo $! >$2
`

// The tests of the packages that drive ZFS, which run on zfs-fuse elsewhere, run on OpenZFS
// here. Left out are those that stop or kill zfs-fuse itself, those of deadlines that a machine
// without the processor's help does not keep, and those that need no ZFS: plain directories, and
// commands that stand in for it.
func TestTheDriversOnOpenZFS(t *testing.T) {
	s := tests.site(t)
	ctx := t.Context()
	if err := s.machine.Write(ctx, "/usr/local/sbin/zfs-fuse", standIn); err != nil {
		t.Fatal(err)
	}
	s.root(t, "chmod 755 /usr/local/sbin/zfs-fuse")
	for name, without := range map[string]string{
		"zfs": "StorageThatHangs|SuspendedPoolIsTold|OutlivesItsDaemon|ManyCommandsAtOnce|StreamsThatHang|" +
			"F29Hanging|HangingCommand|StuckCommands|JustDivided|GoneOnWith|HalfAStream|OtherSnapshots|KeepNoOthers",
		"agent/volumes": "F29|ReceivesGoOn|HalvesGo|Directories|Parts|CutShort|ManyAtOnce",
	} {
		t.Run(name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "test")
			build := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags", "-s -w", "-o", binary, "github.com/spearheadcloud/spearhead/"+name)
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("cannot build the tests of %s: %v: %s", name, err, out)
			}
			if err := s.machine.Put(ctx, binary, "/root/test"); err != nil {
				t.Fatal(err)
			}
			// One after the other: a pool's name is the machine's, and theirs are all the same.
			done, err := s.machine.Try(ctx, "cd /root && chmod 755 test && ./test -test.v -test.parallel 1 -test.timeout 20m -test.skip '"+without+"' 2>&1", nil)
			if err != nil || done.Code != 0 {
				t.Errorf("the tests of %s: %v, exit code %d:\n%s", name, err, done.Code, done.Stdout)
			}
			if passed := strings.Count(done.Stdout, "--- PASS"); passed < 5 {
				t.Errorf("only %d tests of %s have passed:\n%s", passed, name, done.Stdout)
			}
		})
	}
	s.root(t, "rm -f /usr/local/sbin/zfs-fuse /root/test; zpool export spearhead 2>/dev/null; true")
}

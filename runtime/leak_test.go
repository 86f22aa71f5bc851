package runtime_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/runtime"
)

func openFiles(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestNothingIsLeft(t *testing.T) {
	n := newNode(t)
	cycle := func() {
		spec := sh("echo x; sleep 1000")
		spec.OpenStdin = true
		id := n.create(spec)
		n.start(id, spec)
		s := n.attach(id, runtime.AttachOptions{Stdin: true, Stdout: true})
		n.exec(id, runtime.ExecSpec{Args: []string{"true"}, Tty: true})
		gone := n.attach(id, runtime.AttachOptions{Stdout: true})
		gone.CloseWrite()
		gone.Close()
		n.Signal(n.ctx, id, unix.SIGKILL)
		n.read(s, false)
		s.Close()
		n.waitExit(id)
		n.remove(id)
	}
	cycle()
	iod, self := openFiles(t, n.iodPid()), openFiles(t, os.Getpid())
	for range 30 {
		cycle()
	}
	// A few connections are kept for the next request.
	n.eventually("descriptors to be closed", func() bool {
		return openFiles(t, n.iodPid()) <= iod+4 && openFiles(t, os.Getpid()) <= self+4
	})
	n.wantNothingLeft()
}

// wantNothingLeft checks that neither files nor control groups remain of
// containers.
func (n *node) wantNothingLeft() {
	n.Helper()
	for _, pattern := range []string{
		filepath.Join(n.cfg.RunDir, "units/*"), filepath.Join(n.cfg.RunDir, "oci/*"), filepath.Join(n.cfg.RunDir, "bundles/*"),
		filepath.Join(n.cfg.RunDir, "tty*"), filepath.Join(n.cfg.StateDir, "containers/*"), "/sys/fs/cgroup/*" + n.cfg.CgroupParent + "/*/*", "/sys/fs/cgroup" + n.cfg.CgroupParent + "/*/*/cgroup.procs",
	} {
		if left, _ := filepath.Glob(pattern); len(left) != 0 {
			n.Errorf("left behind: %v", left)
		}
	}
}

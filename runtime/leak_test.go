package runtime_test

import (
	"fmt"
	"os"
	"os/exec"
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

// A start that was killed leaves no record of what it had begun, which may still
// be dying in the container's group.
func TestGroupsOfWhatIsStillDyingGo(t *testing.T) {
	n := newNode(t)
	id := n.create(sh("true"))
	group := filepath.Join("/sys/fs/cgroup/pids", n.cfg.CgroupParent, "acct", id)
	if _, err := os.Stat("/sys/fs/cgroup/pids"); err != nil {
		group = filepath.Join("/sys/fs/cgroup", n.cfg.CgroupParent, "acct", id)
	}
	if err := os.MkdirAll(group, 0o755); err != nil {
		t.Fatal(err)
	}
	dying := exec.Command("sh", "-c", "echo $$ > "+group+"/cgroup.procs; echo; exec sleep 0.5")
	in, err := dying.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dying.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Read(make([]byte, 1)); err != nil { // it is in its group
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = dying.Process.Wait()
	}()
	if err := n.Clean(n.ctx, id); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, err := os.Stat(group); !os.IsNotExist(err) {
		t.Errorf("the group is still there: %v", err)
	}
}

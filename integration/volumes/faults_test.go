package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// nodesSay waits until spearhead node ls says the text, or does not say it any more.
func nodesSay(t *testing.T, b *bed.Bed, text string, said bool) {
	t.Helper()
	err := bed.Poll(t.Context(), 3*time.Minute, func() error {
		if got := b.Operator(t, "node", "ls"); strings.Contains(got, text) != said {
			return fmt.Errorf("%q is said: %t; want %t:\n%s", text, !said, said, got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// works waits until containers can be made again.
func works(t *testing.T, b *bed.Bed) {
	t.Helper()
	bed.Eventually(t, func() error {
		if done := b.Try(t, "run", "--rm", b.Image, "true"); done.Code != 0 {
			return errors.New(done.Stderr)
		}
		return nil
	})
}

// F29: ZFS hangs, commands and files. Heads and agents go on, operators see it, users are told
// at once, and when it is over all works again.
func storageHangs(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sleep", "1000")
	pid := poolDaemon(t, b)
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	for _, node := range []string{"node-1", "node-2"} {
		nodesSay(t, b, node+": its storage does not answer", true)
	}
	nodesSay(t, b, "ready, degraded", true)
	refused(t, b, "2 have storage that fails", "run", "--rm", b.Image, "true")
	if got := b.Inspect(t, id, "{{.State.Running}}"); got != "true" {
		t.Errorf("a container that ran: %s", got)
	}
	signal(syscall.SIGCONT)
	nodesSay(t, b, "degraded", false)
	works(t, b)
	b.Docker(t, "exec", id, "ls", "/")
}

// poolDaemon is the process of the rack's zfs-fuse.
func poolDaemon(t *testing.T, b *bed.Bed) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Dir, "pool", "pid"))
	if err != nil {
		t.Skip("needs a rack with a pool of its own: ", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// F12: a node's disk is full. What runs goes on, nothing new comes, and once there is room again
// all works.
func TestF12FullDisk(t *testing.T) {
	t.Parallel()
	setting.Shared(t) // or a skip
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b, err := setting.New(context.Background(), filepath.Join(dir, "rack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	id := b.Run(t, b.Image, "sleep", "1000")
	filler := filepath.Join(dir, "filler")
	fill(t, filler, dir, 3<<20)
	nodesSay(t, b, "its storage is full", true)
	refused(t, b, "1 has no space left", "run", "--rm", b.Image, "true")
	if got := b.Docker(t, "exec", id, "echo", "on"); got != "on" {
		t.Errorf("a container that ran: %s", got)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	nodesSay(t, b, "degraded", false)
	works(t, b)
}

// fill writes a file until so much is left of its file system.
func fill(t *testing.T, path, dir string, leave int64) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Fallocate(fd, 0, 0, int64(st.Bavail)*st.Bsize-leave); err != nil {
		t.Fatal(err)
	}
}

package zfs_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// patience bounds what a test waits for.
const patience = 2 * time.Minute

func daemonPid(t *testing.T, d *fusepool.Daemon) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.Split(d.Command()[1], "/")[2])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// eventually repeats try until it succeeds.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

// F29: storage that hangs, its mounted file systems too, costs each call its
// deadline and no more; when it is back, all works.
func TestF29StorageThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, poolSize)
	ctx := t.Context()
	p, err := zfs.Open(ctx, zfs.Config{Dataset: d.Pool + "/t", Command: d.Command()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Create(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	pid := daemonPid(t, d)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	t.Cleanup(resume)
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var calls sync.WaitGroup
	for what, call := range map[string]func() error{
		"space":    func() error { _, _, err := p.Space(limited); return err },
		"unmount":  func() error { return p.Unmount(limited, "a") },
		"create":   func() error { _, err := p.Create(limited, "b", nil); return err },
		"snapshot": func() error { return p.Snapshot(limited, "a@now") },
		"destroy":  func() error { return p.Destroy(limited, "a") },
		"children": func() error { _, err := p.Children(limited, "", "used"); return err },
	} {
		calls.Go(func() {
			if err := call(); !model.IsKind(err, model.KindUnavailable) {
				t.Errorf("%s: %v, want unavailable", what, err)
			}
		})
	}
	// What the kernel remembers it answers by itself.
	calls.Go(func() {
		if _, err := p.Mount(limited, "a"); err != nil && !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("mount: %v", err)
		}
	})
	calls.Wait()
	resume()
	eventually(t, func() error {
		_, err := p.Mount(ctx, "a")
		return err
	})
}

// More commands at once than may hang are not refused: they wait.
func TestManyCommandsAtOnce(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, poolSize)
	p, err := zfs.Open(t.Context(), zfs.Config{Dataset: d.Pool + "/t", Command: d.Command()})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, _, err := p.Space(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// F29: a pool whose disk takes no more suspends all work. It is told as that
// and at once, and does not hang who asks.
func TestF29SuspendedPoolIsTold(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a pool is mounted")
	}
	dir := t.TempDir()
	// The disk is a sparse file of 512 MiB on a file system with room for 96.
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	pool := filepath.Join(dir, "pool")
	var fill *exec.Cmd
	t.Cleanup(func() { // after the pool has gone: before, it cannot be killed
		if fill != nil {
			_ = fill.Wait()
		}
	})
	d, err := fusepool.Start(t.Context(), fusepool.Config{Dir: pool, Size: 512 << 20})
	if model.IsKind(err, model.KindUnavailable) {
		t.Skip(model.UserText(err))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(daemonPid(t, d), syscall.SIGKILL) // it would wait for its disk
		if err := fusepool.Destroy(context.Background(), pool); err != nil {
			t.Error(err)
		}
	})
	p, err := zfs.Open(t.Context(), zfs.Config{Dataset: d.Pool + "/t", Command: d.Command()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Create(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	fill = exec.Command("dd", "if=/dev/urandom", "of="+filepath.Join(p.Dir("a"), "big"), "bs=1M", "count=200")
	if err := fill.Start(); err != nil {
		fill = nil
		t.Fatal(err)
	}
	eventually(t, func() error {
		if _, _, err := p.Space(t.Context()); !errors.Is(err, zfs.ErrSuspended) {
			return errors.Join(errors.New("the pool is not suspended yet"), err)
		}
		return nil
	})
	_, err = p.Create(t.Context(), "b", nil)
	if !model.IsKind(err, model.KindUnavailable) || !strings.Contains(model.UserText(err), "suspended") {
		t.Errorf("create: %v", err)
	}
}

package zfs_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// poolSize is how large the disk of a test's pool is, in bytes.
const poolSize = 256 << 20

func openPool(t testing.TB, d *fusepool.Daemon) *zfs.Pool {
	t.Helper()
	p, err := zfs.Open(t.Context(), zfs.Config{Dataset: d.Pool + "/sub", Command: d.Command()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestClonesHoldWhatTheirSnapshotHeld(t *testing.T) {
	t.Parallel()
	p, ctx := openPool(t, fusepooltest.Start(t, poolSize)), t.Context()
	dir, err := p.Create(ctx, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), "one")
	if err := p.Snapshot(ctx, "a@base"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), "two")
	clone, err := p.Clone(ctx, "a@base", "b", map[string]string{"org.spearhead:image": "sha256:1"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(clone, "file")); err != nil || string(got) != "one" {
		t.Errorf("the clone holds %q (%v), want one", got, err)
	}
	children, err := p.Children(ctx, "", "org.spearhead:image")
	if diff := cmp.Diff(map[string]string{"a": "", "b": "sha256:1"}, children); err != nil || diff != "" {
		t.Errorf("children (%v) (-want +got):\n%s", err, diff)
	}

	if _, err := p.Create(ctx, "a", nil); !model.IsKind(err, model.KindConflict) {
		t.Errorf("second create: %v, want a conflict", err)
	}
	if err := p.Snapshot(ctx, "a@base"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("second snapshot: %v, want a conflict", err)
	}
	if err := p.Destroy(ctx, "a"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("destroy of an origin: %v, want a conflict", err)
	}
	for _, name := range []string{"b", "a", "a", "never"} {
		if err := p.Destroy(ctx, name); err != nil {
			t.Errorf("destroy %s: %v", name, err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the mountpoint is left")
	}
}

func TestQuotaStopsTheWriter(t *testing.T) {
	t.Parallel()
	p, ctx := openPool(t, fusepooltest.Start(t, poolSize)), t.Context()
	dir, err := p.Create(ctx, "small", map[string]string{"quota": "16777216"})
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i * 7)
	}
	file, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for i := 0; err == nil && i < 32; i++ {
		if _, err = file.Write(chunk); err == nil {
			err = file.Sync()
		}
	}
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("32 MiB into 16: %v, want no space", err)
	}
	values, err := p.Get(ctx, "small", "quota", "org.spearhead:none")
	if diff := cmp.Diff(map[string]string{"quota": "16777216"}, values); err != nil || diff != "" {
		t.Errorf("properties (%v) (-want +got):\n%s", err, diff)
	}
	if err := p.Set(ctx, "small", map[string]string{"quota": "33554432"}); err != nil {
		t.Error(err)
	}
}

func TestBusyDatasetIsDestroyedWhenItIsFree(t *testing.T) {
	t.Parallel()
	p, ctx := openPool(t, fusepooltest.Start(t, poolSize)), t.Context()
	dir, err := p.Create(ctx, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, "open"))
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(300*time.Millisecond, func() { file.Close() })
	defer timer.Stop()
	if err := p.Destroy(ctx, "a"); err != nil {
		t.Errorf("destroy: %v", err)
	}
}

func TestPoolOutlivesItsDaemonAndItsStarter(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, poolSize)
	p, ctx := openPool(t, d), t.Context()
	dir, err := p.Create(ctx, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), "kept")
	if err := p.Snapshot(ctx, "a@now"); err != nil { // writes what is in the daemon's memory
		t.Fatal(err)
	}
	poolDir := filepath.Dir(filepath.Dir(d.Mountpoint))
	again, err := fusepool.Start(ctx, fusepool.Config{Dir: poolDir})
	if err != nil || !cmp.Equal(again.Command(), d.Command()) {
		t.Fatalf("a second start made another daemon: %v", err)
	}
	pid := strings.Split(d.Command()[1], "/")[2]
	if out, err := exec.Command("kill", "-9", pid).CombinedOutput(); err != nil {
		t.Fatalf("kill: %s %v", out, err)
	}
	if d, err = fusepool.Start(ctx, fusepool.Config{Dir: poolDir}); err != nil {
		t.Fatal(err)
	}
	p = openPool(t, d)
	if dir, err = p.Mount(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != "kept" {
		t.Errorf("after the daemon's death the file holds %q (%v)", got, err)
	}
	if err := d.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestNamesThatAreArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: a pool is mounted")
	}
	p, ctx := openPool(t, fusepooltest.Start(t, poolSize)), t.Context()
	for _, name := range []string{"", "-r", "a//b", "/a", "a/", "a@b", "a b", "a/../b", "a\nb", strings.Repeat("x", 300)} {
		if _, err := p.Create(ctx, name, nil); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("create %q: %v, want invalid", name, err)
		}
		if err := p.Destroy(ctx, name); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("destroy %q: %v, want invalid", name, err)
		}
	}
	if _, err := p.Create(ctx, "a", map[string]string{"quota=1 -o x": "1"}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("property: %v, want invalid", err)
	}
}

func TestHangingCommandIsGivenUp(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "zfs")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := zfs.Open(t.Context(), zfs.Config{Dataset: "tank/a", Command: []string{script}, Timeout: 50 * time.Millisecond})
	if !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("hanging zfs: %v, want unavailable", err)
	}
	if text := model.UserText(err); strings.Contains(text, "tank") || strings.Contains(text, script) {
		t.Errorf("the user reads %q", text)
	}
}

func TestMissingPoolIsNotFound(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, poolSize)
	_, err := zfs.Open(t.Context(), zfs.Config{Dataset: "nosuch/a", Command: d.Command()})
	if !model.IsKind(err, model.KindNotFound) {
		t.Errorf("open of a missing pool: %v, want not found", err)
	}
}

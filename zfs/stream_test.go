package zfs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

func TestHeldSnapshotsStay(t *testing.T) {
	t.Parallel()
	p, ctx := openPool(t, fusepooltest.Start(t, poolSize)), t.Context()
	if _, err := p.Create(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Snapshot(ctx, "a@kept"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Hold(ctx, "a@kept", "backup"); err != nil {
			t.Fatal(err)
		}
	}
	soon, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if err := p.RemoveSnapshot(soon, "a@kept"); err == nil {
		t.Error("a held snapshot was destroyed")
	}
	for range 2 {
		if err := p.Release(ctx, "a@kept", "backup"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.RemoveSnapshot(ctx, "a@kept"); err != nil {
		t.Error(err)
	}
	if all, err := p.Snapshots(ctx, "a"); err != nil || len(all) > 0 {
		t.Errorf("snapshots are %+v, %v", all, err)
	}
	if _, err := p.Snapshots(ctx, "none"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("snapshots of no dataset: %v", err)
	}
}

// program is a zfs that answers what opening a tree asks, and then does what
// the script says.
func program(t *testing.T, script string) *zfs.Pool {
	t.Helper()
	return patientProgram(t, 300*time.Millisecond, script)
}

// patientProgram is program for scripts that do not hang.
func patientProgram(t *testing.T, timeout time.Duration, script string) *zfs.Pool {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "zfs")
	text := "#!/bin/sh\ncase \"$*\" in \"get \"*mountpoint*) printf 'mountpoint\\t/proc\\n'; exit;; esac\n" + script + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := zfs.Open(t.Context(), zfs.Config{Dataset: "tank", Command: []string{path}, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStreamsThatHangAreGivenUp(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	hangs := program(t, "printf begin; exec sleep 60")
	s, err := hangs.Send(ctx, "a@b", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); !model.IsKind(err, model.KindUnavailable) || string(got) != "begin" {
		t.Errorf("a hanging send gave %q, %v", got, err)
	}
	s.Close()
	if err := hangs.Receive(ctx, "a", strings.NewReader(strings.Repeat("x", 1<<20))); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a hanging receive: %v", err)
	}
	fails := program(t, "echo \"cannot open 'tank/a@b': dataset does not exist\" >&2; exit 1")
	if s, err = fails.Send(ctx, "a@b", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a send that fails: %v", err)
	}
	s.Close()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := hangs.Receive(ended, "a", strings.NewReader("")); !errors.Is(err, context.Canceled) {
		t.Errorf("a receive whose caller has gone: %v", err)
	}
	for _, name := range []string{"a", "a@", "@b", "a@b@c", "-r@b"} {
		if _, err := hangs.Send(ctx, name, ""); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("send %q: %v", name, err)
		}
	}
}

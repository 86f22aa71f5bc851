package volumes_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// F29: storage that hangs is given up by what looks at a volume's files, too,
// and the volume can be used when it answers again.
func TestF29FilesThatHangAreGivenUp(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, 512<<20)
	b := onPool(t, d.Command())
	b.make(t, "v", 0)
	if err := b.Snapshot(t.Context(), "v", "zero"); err != nil { // the kernel knows the volume's directory now
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Split(d.Command()[1], "/")[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	t.Cleanup(resume)
	soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	given := make(chan error, 1)
	go func() { given <- b.Snapshot(soon, "v", "one") }()
	select {
	case err := <-given:
		if !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("a snapshot of what hangs: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("a snapshot waits for storage that hangs")
	}
	resume()
	if err := b.Snapshot(t.Context(), "v", "two"); err != nil {
		t.Errorf("once it answers: %v", err)
	}
}

// F29: of the zfs commands, every seventh fails. What failed can be asked for again until it is
// done, and at the end nothing is left of anything.
func TestF29CommandsThatFailLeaveNothing(t *testing.T) {
	t.Parallel()
	d, dir := fusepooltest.Start(t, 512<<20), t.TempDir()
	good := onPool(t, d.Command())
	count, script := filepath.Join(dir, "count"), filepath.Join(dir, "zfs")
	text := fmt.Sprintf("#!/bin/sh\nn=$(cat %[1]s)\necho $((n+1)) > %[1]s\n"+
		"[ $((n %% 7)) = 6 ] && { echo 'internal error: out of luck' >&2; exit 1; }\nexec %[2]s \"$@\"\n", count, strings.Join(d.Command(), " "))
	for path, text := range map[string]string{count: "0\n", script: text} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b, failures := onPool(t, []string{script}), 0
	insist := func(what string, do func() error) {
		t.Helper()
		for range 5 {
			err := do()
			if err == nil {
				return
			}
			if text := model.UserText(err); strings.Contains(text, "luck") || strings.Contains(text, "spearhead/node") {
				t.Errorf("%s: the user reads %q", what, text)
			}
			failures++
		}
		t.Fatalf("%s: it fails each time", what)
	}
	ctx := t.Context()
	for i := range 3 {
		id, clone := fmt.Sprint("v", i), fmt.Sprint("clone", i)
		insist("create", func() error { return b.Create(ctx, wire.VolumeRef{ID: id, Size: 16 << 20}) })
		insist("expose", func() error {
			_, err := b.Expose(ctx, "c1", []model.Mount{{Type: model.MountVolume, VolumeID: id, Target: "/d"}})
			return err
		})
		insist("snapshot", func() error {
			err := b.Snapshot(ctx, id, "one")
			if model.IsKind(err, model.KindConflict) {
				return nil // it was taken before what failed
			}
			return err
		})
		insist("clone", func() error {
			return b.Clone(ctx, id, wire.CloneVolumeRequest{Snapshot: "one", To: wire.VolumeRef{ID: clone}})
		})
		for _, gone := range []string{id, clone} {
			insist("remove", func() error { return b.Remove(ctx, gone) })
		}
	}
	if failures == 0 {
		t.Error("nothing failed")
	}
	good.open(t)
	left, err := good.List(ctx)
	if err != nil || len(left) > 0 {
		t.Errorf("left of all: %v, %v", left, err)
	}
	if left, err := good.pool.SnapshotsBelow(ctx, "volumes"); err != nil || len(left) > 0 {
		t.Errorf("snapshots left: %v, %v", left, err)
	}
	if left, err := good.pool.Children(ctx, "incoming", "used"); err != nil || len(left) > 0 {
		t.Errorf("half of anything left: %v, %v", left, err)
	}
}

package zfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
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

// frozen makes programs that the kernel lets do nothing, not even die, from a moment on, as one
// does that waits for a disk.
func frozen(t *testing.T, script string) (p *zfs.Pool, freeze, thaw func()) {
	t.Helper()
	group := fmt.Sprintf("/sys/fs/cgroup/freezer/spearhead-%d-%s", os.Getpid(), t.Name())
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Skipf("needs root and cgroup v1, whose freezer also holds what is killed: %v", err)
	}
	set := func(state string) func() {
		return func() {
			if err := os.WriteFile(group+"/freezer.state", []byte(state), 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(func() {
		set("THAWED")()
		err := os.Remove(group)
		for end := time.Now().Add(patience); err != nil && time.Now().Before(end); err = os.Remove(group) {
			runtime.Gosched() // until all in it have died
		}
		if err != nil {
			t.Error(err)
		}
	})
	return patientProgram(t, 3*time.Second, "echo $$ > "+group+"/cgroup.procs\n"+script), set("FROZEN"), set("THAWED")
}

// A command that sleeps in the kernel does not die when it is killed: nobody waits for that.
func TestStreamsOfWhatCannotDieAreGivenUp(t *testing.T) {
	t.Parallel()
	p, freeze, thaw := frozen(t, "[ $1 = receive ] && cat >/dev/null && exit\nprintf begin; exec sleep 60")
	s, err := p.Send(t.Context(), "a@b", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, len("begin"))); err != nil {
		t.Fatal(err)
	}
	freeze()
	if _, err := s.Read(make([]byte, 1)); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a send that sleeps gave %v", err)
	}
	s.Close()
	if n := p.Stuck(); n != 1 {
		t.Errorf("%d commands are stuck, want 1", n)
	}
	thaw()
	eventually(t, func() error {
		if n := p.Stuck(); n != 0 {
			return fmt.Errorf("%d commands are stuck", n)
		}
		return nil
	})
	taken := make(chan struct{})
	err = p.Receive(t.Context(), "a", io.MultiReader(strings.NewReader("begin"), &endless{after: sync.OnceFunc(func() {
		freeze()
		close(taken)
	})}))
	if <-taken; !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a receive that sleeps: %v", err)
	}
}

// endless never ends; it calls after when it begins.
type endless struct{ after func() }

func (e *endless) Read(b []byte) (int, error) {
	e.after()
	return len(b), nil
}

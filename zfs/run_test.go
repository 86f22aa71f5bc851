package zfs

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// F29: of commands that hang, so many run at once and no more; once all of
// those are stuck in the kernel, further ones are refused and do not wait.
func TestF29HangingCommandsAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script, starts := filepath.Join(dir, "zfs"), filepath.Join(dir, "starts")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho x >> "+starts+"\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRunner([]string{script}, time.Hour, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for range 3 * maxAtOnce {
		all.Go(func() {
			if _, err := r.zfs(ctx, "list"); !model.IsKind(err, model.KindUnavailable) {
				t.Errorf("a command that hangs: %v", err)
			}
		})
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	started := func() int {
		text, _ := os.ReadFile(starts)
		return bytes.Count(text, []byte("x"))
	}
	for started() < maxAtOnce {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("they do not start")
		}
	}
	if n := started(); n > maxAtOnce {
		t.Errorf("%d run at once", n)
	}
	cancel()
	all.Wait()
	for r.hanging.Load() > 0 { // their ends are counted after nobody waits for them
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("they do not end")
		}
	}
	if n := r.stuck.Load(); n != 0 {
		t.Errorf("%d are stuck after all have ended", n)
	}
	r.hanging.Store(maxAtOnce)
	if _, err := r.zfs(t.Context(), "list"); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("beside commands that are stuck: %v", err)
	}
	if _, err := r.look(t.Context(), func() bool { return true }); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a look beside commands that are stuck: %v", err)
	}
}

// A command that was given up and does not die is stuck, until it does.
func TestStuckCommandsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &Pool{run: newRunner(nil, time.Minute, slog.New(slog.DiscardHandler))}
		disk := make(chan bool)
		hang := func() bool { return <-disk }
		if _, err := p.run.look(t.Context(), hang); !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("a look that hangs: %v", err)
		}
		synctest.Wait()
		if n := p.Stuck(); n != 0 {
			t.Errorf("%d are stuck when one has just been given up", n)
		}
		time.Sleep(stuckAfter) // which takes no time in here
		synctest.Wait()
		if n := p.Stuck(); n != 1 {
			t.Errorf("%d are stuck, want 1", n)
		}
		disk <- true
		synctest.Wait()
		if n := p.Stuck(); n != 0 {
			t.Errorf("%d are stuck after it has ended", n)
		}
	})
}

// A disk that the kernel reads anew in the moment when it was divided is tried again, and no
// other refusal is.
func TestPoolsOfDisksThatWereJustDivided(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"cannot create 'tank': one or more devices is currently unavailable": 3,
		"cannot create 'tank': pool already exists":                          1,
	} {
		dir := t.TempDir()
		script, calls := filepath.Join(dir, "zpool"), filepath.Join(dir, "calls")
		program := "#!/bin/sh\necho x >> " + calls + "\n[ $(wc -l < " + calls + ") -lt 3 ] || exit 0\necho \"" + text + "\" >&2\nexit 1\n"
		if err := os.WriteFile(script, []byte(program), 0o700); err != nil {
			t.Fatal(err)
		}
		p := &Pools{make: newRunner([]string{script}, time.Hour, slog.New(slog.DiscardHandler)), pause: time.Millisecond}
		err := p.create(t.Context(), []string{"create", "tank", "/dev/a"})
		if (err == nil) != (want == 3) {
			t.Errorf("%s: %v", text, err)
		}
		if made, _ := os.ReadFile(calls); bytes.Count(made, []byte("x")) != want {
			t.Errorf("%s: tried %d times, want %d", text, bytes.Count(made, []byte("x")), want)
		}
	}
}

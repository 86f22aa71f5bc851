package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/rack"
)

// TestDownLeavesNothing uses a rack of its own, with containers in several states in it.
func TestDownLeavesNothing(t *testing.T) {
	sharedBed(t)
	before, err := observeMachine()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "rack")
	b, err := newBed(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	b.docker(t, "run", "-d", "--restart", "always", b.image, "sleep", "1000")
	b.docker(t, "run", b.image, "true")
	b.docker(t, "create", b.image, "true")
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is still there", dir)
	}
	if found, err := rack.Census(dir); err != nil || len(found) > 0 {
		t.Errorf("the census after spearhead dev down: %v, error %v", found, err)
	}
	after, err := observeMachine()
	if err != nil {
		t.Fatal(err)
	}
	if left := leftOver(before, after, b); len(left) > 0 {
		t.Errorf("spearhead dev down left:\n  %s", strings.Join(left, "\n  "))
	}
}

// TestUpAfterEverythingWasKilled kills all processes of a rack at once, as a crash of the
// machine would, and brings it up again.
func TestUpAfterEverythingWasKilled(t *testing.T) {
	sharedBed(t)
	b, err := newBed(context.Background(), filepath.Join(t.TempDir(), "rack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	b.docker(t, "run", "-d", "--name", "kept", b.image, "sh", "-c", "echo run >> /runs; sleep 1000")
	container := b.inspect(t, "kept", "{{.State.Pid}}")
	victims := []int{b.pid(t, "head-1"), b.pid(t, "node-1"), b.supervisor(t), number(t, container)}
	for _, pid := range victims {
		kill(t, pid)
	}
	if err := b.up(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return b.exited(t, "kept") })
	b.docker(t, "start", "kept")
	if out := b.docker(t, "exec", "kept", "cat", "/runs"); out != "run\nrun" {
		t.Errorf("the container's files after the crash: %q", out)
	}
	if out := b.docker(t, "run", "--rm", b.image, "echo", "works"); out != "works" {
		t.Errorf("docker run after the crash: %q", out)
	}
}

func TestRacksStandSideBySide(t *testing.T) {
	first := sharedBed(t)
	second, err := newBed(context.Background(), filepath.Join(t.TempDir(), "rack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.close(); err != nil {
			t.Error(err)
		}
	})
	mine := first.run(t, first.image, "sleep", "1000")
	theirs := second.docker(t, "run", "-d", second.image, "sleep", "1000")
	if first.addressOf(t, mine) == second.addressOf(t, theirs) {
		t.Error("containers of two racks share an address")
	}
	if out := second.docker(t, "ps", "-q", "--no-trunc"); out != theirs {
		t.Errorf("the second rack lists %q, want %s alone", out, theirs)
	}
}

func TestMoreHostsAreRefusedClearly(t *testing.T) {
	sharedBed(t)
	for flag, name := range map[string]string{"--heads=3": "--heads 3", "--nodes=2": "--nodes 2"} {
		dir := filepath.Join(t.TempDir(), "rack")
		out, err := exec.CommandContext(t.Context(), setting.binary, "dev", "up", "--dir", dir, flag).CombinedOutput()
		if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), name) {
			t.Errorf("dev up %s: error %v, want one sentence that names the flag: %s", flag, err, out)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("dev up %s left %s", flag, dir)
		}
	}
}

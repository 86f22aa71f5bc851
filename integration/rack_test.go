package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/rack"
)

// TestDownLeavesNothing uses a rack of its own, with containers in several states in it.
func TestDownLeavesNothing(t *testing.T) {
	sharedBed(t)
	before, err := bed.ObserveMachine()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "rack")
	b, err := setting.New(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	b.Docker(t, "run", "-d", "--restart", "always", b.Image, "sleep", "1000")
	b.Docker(t, "run", b.Image, "true")
	b.Docker(t, "create", b.Image, "true")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is still there", dir)
	}
	if found, err := rack.Census(dir); err != nil || len(found) > 0 {
		t.Errorf("the census after spearhead dev down: %v, error %v", found, err)
	}
	after, err := bed.ObserveMachine()
	if err != nil {
		t.Fatal(err)
	}
	if left := bed.LeftOver(before, after, b); len(left) > 0 {
		t.Errorf("spearhead dev down left:\n  %s", strings.Join(left, "\n  "))
	}
}

// TestDownOfALostFolder loses a rack's folder while it runs.
func TestDownOfALostFolder(t *testing.T) {
	sharedBed(t)
	b, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "rack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Docker(t, "run", "-d", "--restart", "always", b.Image, "sleep", "1000")
	if err := os.RemoveAll(b.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Dev(t.Context(), "up"); err == nil || !strings.Contains(err.Error(), "dev down first") {
		t.Errorf("spearhead dev up over the rest of a rack: %v", err)
	}
	if _, err := b.Dev(t.Context(), "down"); err != nil {
		t.Fatal(err)
	}
	if found, err := rack.Census(b.Dir); err != nil || len(found) > 0 {
		t.Errorf("the census after spearhead dev down: %v, error %v", found, err)
	}
	if _, err := os.Stat(b.RunDir()); err == nil {
		t.Errorf("%s is still there", b.RunDir())
	}
	if _, err := b.Dev(t.Context(), "down"); err == nil || !strings.Contains(err.Error(), "there is no rack") {
		t.Errorf("a second spearhead dev down: %v", err)
	}
	if err := b.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := b.Docker(t, "ps", "-aq"); out != "" {
		t.Errorf("the new rack has containers: %s", out)
	}
}

// TestUpAfterEverythingWasKilled kills all processes of a rack at once, as a crash of the
// machine would, and brings it up again.
func TestUpAfterEverythingWasKilled(t *testing.T) {
	sharedBed(t)
	b, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "rack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Docker(t, "run", "-d", "--name", "kept", b.Image, "sh", "-c", "echo run >> /runs; sleep 1000")
	container := b.Inspect(t, "kept", "{{.State.Pid}}")
	victims := []int{b.Pid(t, "head-1"), b.Pid(t, "node-1"), supervisor(t, b), number(t, container)}
	for _, pid := range victims {
		kill(t, pid)
	}
	if err := b.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	bed.Eventually(t, func() error { return b.Exited(t, "kept") })
	b.Docker(t, "start", "kept")
	if out := b.Docker(t, "exec", "kept", "cat", "/runs"); out != "run\nrun" {
		t.Errorf("the container's files after the crash: %q", out)
	}
	if out := b.Docker(t, "run", "--rm", b.Image, "echo", "works"); out != "works" {
		t.Errorf("docker run after the crash: %q", out)
	}
}

func TestRacksStandSideBySide(t *testing.T) {
	first := sharedBed(t)
	second, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "rack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
	mine := first.Run(t, first.Image, "sleep", "1000")
	theirs := second.Docker(t, "run", "-d", second.Image, "sleep", "1000")
	if first.AddressOf(t, mine) == second.AddressOf(t, theirs) {
		t.Error("containers of two racks share an address")
	}
	if out := second.Docker(t, "ps", "-q", "--no-trunc"); out != theirs {
		t.Errorf("the second rack lists %q, want %s alone", out, theirs)
	}
}

func TestMoreHostsAreRefusedClearly(t *testing.T) {
	sharedBed(t)
	for flag, name := range map[string]string{"--heads=2": "--heads 2", "--nodes=100": "--nodes"} {
		dir := filepath.Join(t.TempDir(), "rack")
		out, err := exec.CommandContext(t.Context(), setting.Binary, "dev", "up", "--dir", dir, flag).CombinedOutput()
		if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), name) {
			t.Errorf("dev up %s: error %v, want one sentence that names the flag: %s", flag, err, out)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("dev up %s left %s", flag, dir)
		}
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%q is not a process id", text)
	}
	return n
}

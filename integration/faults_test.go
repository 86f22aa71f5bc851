package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// supervisor is the process of the rack's iod.
func supervisor(t *testing.T, b *bed.Bed) int {
	t.Helper()
	var pid int
	bed.Eventually(t, func() error {
		folders, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, folder := range folders {
			line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
			words := bytes.Split(line, []byte{0})
			if len(words) > 2 && string(words[1]) == "iod" && bytes.Contains(line, []byte(b.RunDir()+"/")) {
				pid, err = strconv.Atoi(filepath.Base(folder))
				return err
			}
		}
		return errors.New("no iod runs")
	})
	return pid
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// ticker is a container that says a number ten times a second.
func ticker(t *testing.T, b *bed.Bed) string {
	t.Helper()
	id := b.Run(t, b.Image, "sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done")
	b.Logged(t, id, "tick 3\n")
	return id
}

// unharmed waits until docker works, and checks that the container runs as the same process
// and has not lost a line of output.
func unharmed(t *testing.T, b *bed.Bed, id, pid string) {
	t.Helper()
	bed.Eventually(t, func() error {
		if done := b.Try(t, "exec", id, "true"); done.Code != 0 {
			return fmt.Errorf("docker exec: %s", done.Stderr)
		}
		return nil
	})
	if now := b.Inspect(t, id, "{{.State.Pid}}"); now != pid {
		t.Errorf("the container runs as process %s, it was %s", now, pid)
	}
	last := len(strings.Split(b.Docker(t, "logs", id), "\n"))
	b.Logged(t, id, fmt.Sprintf("tick %d\n", last+5))
	for i, line := range strings.Split(b.Docker(t, "logs", id), "\n") {
		if line != fmt.Sprintf("tick %d", i+1) {
			t.Fatalf("line %d of the log is %q", i+1, line)
		}
	}
	b.Docker(t, "stop", "-t", "0", id)
	if state := b.Inspect(t, id, "{{.State.Status}} {{.State.ExitCode}}"); state != "exited 137" {
		t.Errorf("the container, stopped, is %s; want exited 137", state)
	}
}

func TestContainersOutliveTheAgent(t *testing.T) {
	b := sharedBed(t)
	id := ticker(t, b)
	pid := b.Inspect(t, id, "{{.State.Pid}}")
	b.Fault(t, "kill", "node-1")
	b.Fault(t, "start", "node-1")
	unharmed(t, b, id, pid)
}

func TestContainersOutliveTheSupervisor(t *testing.T) {
	b := sharedBed(t)
	id := ticker(t, b)
	pid := b.Inspect(t, id, "{{.State.Pid}}")
	kill(t, supervisor(t, b))
	unharmed(t, b, id, pid)
}

func TestContainersOutliveTheHead(t *testing.T) {
	b := sharedBed(t)
	id := ticker(t, b)
	pid := b.Inspect(t, id, "{{.State.Pid}}")
	b.Fault(t, "kill", "head-1")
	b.Fault(t, "start", "head-1")
	unharmed(t, b, id, pid)
}

func TestExitWhileTheAgentIsAwayIsReported(t *testing.T) {
	b := sharedBed(t)
	id := b.Run(t, "-i", b.Image, "sh", "-c", "sleep 2; exit 5")
	b.Fault(t, "kill", "node-1")
	gone := hostProcessEnds(t, b, "sleep 2; exit 5")
	b.Fault(t, "start", "node-1")
	if !gone {
		t.Fatal("the container did not end while the agent was away")
	}
	bed.Eventually(t, func() error {
		done := b.Try(t, "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", id)
		if strings.TrimSpace(done.Stdout) != "exited 5" {
			return fmt.Errorf("the container is %s%s; want exited 5", done.Stdout, done.Stderr)
		}
		return nil
	})
}

// hostProcessEnds waits until no process of this machine has the text in its command line.
func hostProcessEnds(t *testing.T, b *bed.Bed, text string) bool {
	t.Helper()
	return bed.Poll(t.Context(), bed.Patience, func() error {
		folders, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, folder := range folders {
			line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
			words := bytes.Split(line, []byte{0})
			if len(words) > 2 && string(words[0]) == "sh" && string(words[2]) == text {
				return errors.New("it runs")
			}
		}
		return nil
	}) == nil
}

func TestFrozenNodeDoesNotHangTheHead(t *testing.T) {
	b := sharedBed(t)
	id := b.Run(t, b.Image, "sleep", "1000")
	b.Fault(t, "stop", "node-1")
	limited, cancel := context.WithTimeout(t.Context(), bed.Patience)
	defer cancel()
	if out, err := dockerWithin(limited, b, "ps", "-q", "--no-trunc"); err != nil || !strings.Contains(out, id) {
		t.Errorf("docker ps beside a frozen node: %q, error %v", out, err)
	}
	b.Fault(t, "cont", "node-1")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "exec", id, "true"); done.Code != 0 {
			return errors.New(done.Stderr)
		}
		return nil
	})
}

func dockerWithin(ctx context.Context, b *bed.Bed, args ...string) (string, error) {
	command := b.Client(ctx, args...)
	out, err := command.CombinedOutput()
	return string(out), err
}

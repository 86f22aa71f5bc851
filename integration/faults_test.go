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
	"time"

	"github.com/spearheadcloud/spearhead/rack"
)

// runDir is the rack's folder in /run, which holds a folder for each host.
func (b *bed) runDir() string {
	return filepath.Dir(filepath.Dir(b.setting("SPEARHEAD_SOCKET")))
}

// index is the number by which the rack's things are named.
func (b *bed) index() string { return filepath.Base(b.runDir()) }

// pid is the process of a host's daemon.
func (b *bed) pid(t *testing.T, host string) int {
	t.Helper()
	r, err := rack.Load(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	status, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range status.Hosts {
		if h.Name == host && h.Pid != 0 {
			return h.Pid
		}
	}
	t.Fatalf("%s does not run: %+v", host, status)
	return 0
}

// supervisor is the process of the rack's iod.
func (b *bed) supervisor(t *testing.T) int {
	t.Helper()
	var pid int
	eventually(t, func() error {
		folders, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, folder := range folders {
			line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
			words := bytes.Split(line, []byte{0})
			if len(words) > 2 && string(words[1]) == "iod" && bytes.Contains(line, []byte(b.runDir()+"/")) {
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
func (b *bed) ticker(t *testing.T) string {
	t.Helper()
	id := b.run(t, b.image, "sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done")
	b.logged(t, id, "tick 3\n")
	return id
}

// unharmed waits until docker works, and checks that the container runs as the same process
// and has not lost a line of output.
func (b *bed) unharmed(t *testing.T, id, pid string) {
	t.Helper()
	eventually(t, func() error {
		if done := b.try(t, "exec", id, "true"); done.code != 0 {
			return fmt.Errorf("docker exec: %s", done.stderr)
		}
		return nil
	})
	if now := b.inspect(t, id, "{{.State.Pid}}"); now != pid {
		t.Errorf("the container runs as process %s, it was %s", now, pid)
	}
	last := len(strings.Split(b.docker(t, "logs", id), "\n"))
	b.logged(t, id, fmt.Sprintf("tick %d\n", last+5))
	for i, line := range strings.Split(b.docker(t, "logs", id), "\n") {
		if line != fmt.Sprintf("tick %d", i+1) {
			t.Fatalf("line %d of the log is %q", i+1, line)
		}
	}
	b.docker(t, "stop", "-t", "0", id)
	if state := b.inspect(t, id, "{{.State.Status}} {{.State.ExitCode}}"); state != "exited 137" {
		t.Errorf("the container, stopped, is %s; want exited 137", state)
	}
}

func TestContainersOutliveTheAgent(t *testing.T) {
	b := sharedBed(t)
	id := b.ticker(t)
	pid := b.inspect(t, id, "{{.State.Pid}}")
	b.fault(t, "kill", "node-1")
	b.fault(t, "start", "node-1")
	b.unharmed(t, id, pid)
}

func TestContainersOutliveTheSupervisor(t *testing.T) {
	b := sharedBed(t)
	id := b.ticker(t)
	pid := b.inspect(t, id, "{{.State.Pid}}")
	kill(t, b.supervisor(t))
	b.unharmed(t, id, pid)
}

func TestContainersOutliveTheHead(t *testing.T) {
	b := sharedBed(t)
	id := b.ticker(t)
	pid := b.inspect(t, id, "{{.State.Pid}}")
	b.fault(t, "kill", "head-1")
	b.fault(t, "start", "head-1")
	b.unharmed(t, id, pid)
}

func TestExitWhileTheAgentIsAwayIsReported(t *testing.T) {
	b := sharedBed(t)
	id := b.run(t, "-i", b.image, "sh", "-c", "sleep 2; exit 5")
	b.fault(t, "kill", "node-1")
	gone := b.hostProcessEnds(t, "sleep 2; exit 5")
	b.fault(t, "start", "node-1")
	if !gone {
		t.Fatal("the container did not end while the agent was away")
	}
	eventually(t, func() error {
		done := b.try(t, "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", id)
		if strings.TrimSpace(done.stdout) != "exited 5" {
			return fmt.Errorf("the container is %s%s; want exited 5", done.stdout, done.stderr)
		}
		return nil
	})
}

// hostProcessEnds waits until no process of this machine has the text in its command line.
func (b *bed) hostProcessEnds(t *testing.T, text string) bool {
	t.Helper()
	return poll(t.Context(), 30*time.Second, func() error {
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

// fault calls spearhead dev fault.
func (b *bed) fault(t *testing.T, verb, host string) {
	t.Helper()
	if _, err := b.dev(t.Context(), "fault", verb, host); err != nil {
		t.Fatal(err)
	}
}

func TestFrozenNodeDoesNotHangTheHead(t *testing.T) {
	b := sharedBed(t)
	id := b.run(t, b.image, "sleep", "1000")
	b.fault(t, "stop", "node-1")
	limited, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if out, err := b.dockerWithin(limited, "ps", "-q", "--no-trunc"); err != nil || !strings.Contains(out, id) {
		t.Errorf("docker ps beside a frozen node: %q, error %v", out, err)
	}
	b.fault(t, "cont", "node-1")
	eventually(t, func() error {
		if done := b.try(t, "exec", id, "true"); done.code != 0 {
			return errors.New(done.stderr)
		}
		return nil
	})
}

func (b *bed) dockerWithin(ctx context.Context, args ...string) (string, error) {
	command := newDocker(ctx, b.env, args...)
	out, err := command.CombinedOutput()
	return string(out), err
}

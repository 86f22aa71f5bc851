package metal

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// hog takes 96 MiB of memory into a file system in memory, which its cgroup is charged for.
const hog = "dd if=/dev/zero of=/dev/shm/hog bs=1M count=96"

func TestMemoryIsLimited(t *testing.T) {
	s := tests.site(t)
	id := s.Run(t, "-m", "48m", "--shm-size", "128m", s.Image, "sh", "-c", "exec "+hog)
	eventually(t, func() error { return s.Exited(t, id) })
	if got := s.Inspect(t, id, "{{.State.ExitCode}} {{.State.OOMKilled}}"); got != "137 true" {
		t.Errorf("more memory than its own ended it with %s", got)
	}
	// Another container is as it was, and one with enough has enough.
	if got := s.Docker(t, "run", "--rm", "--shm-size", "128m", s.Image, "sh", "-c", hog+" 2>&1"); !strings.Contains(got, "96+0 records out") {
		t.Errorf("with 128 MiB: %s", got)
	}
}

func TestLimitsChangeWhileAContainerRuns(t *testing.T) {
	s := tests.site(t)
	id := s.Run(t, "-m", "64m", "--shm-size", "128m", s.Image, "sleep", "100000")
	s.Docker(t, "update", "-m", "128m", "--memory-swap", "128m", id)
	if got := s.Docker(t, "exec", id, "sh", "-c", hog+" 2>&1"); !strings.Contains(got, "96+0 records out") {
		t.Errorf("with the memory that it was given: %s", got)
	}
	s.Docker(t, "exec", id, "rm", "/dev/shm/hog")
	s.Docker(t, "update", "-m", "64m", "--memory-swap", "64m", id)
	if got := s.control(t, id, "memory.max"); got != strconv.Itoa(64<<20) {
		t.Errorf("memory.max is %s", got)
	}
	s.Docker(t, "update", "--cpus", "0.25", "--pids-limit", "20", id)
	if got := s.control(t, id, "cpu.max"); got != "25000 100000" {
		t.Errorf("cpu.max is %s", got)
	}
	// systemd looks at the tree of control groups when it reads its units anew, and when a
	// unit starts; limits of others' groups must outlive it.
	s.root(t, "systemctl daemon-reload && systemctl restart dbus.service systemd-journald.service && systemctl restart spearhead-agent")
	for file, want := range map[string]string{"memory.max": strconv.Itoa(64 << 20), "cpu.max": "25000 100000", "pids.max": "20"} {
		if got := s.control(t, id, file); got != want {
			t.Errorf("after systemd has looked, %s is %q; want %q", file, got, want)
		}
	}
	if done := s.Try(t, "exec", id, "sh", "-c", "for i in $(seq 40); do sleep 1000 & done; wait"); done.Code == 0 || !strings.Contains(done.Stderr, "can't fork") {
		t.Errorf("40 processes of 20: %+v", done)
	}
}

func TestProcessorTimeIsLimited(t *testing.T) {
	s := tests.site(t)
	id := s.Run(t, "--cpus", "0.1", s.Image, "sh", "-c", "while :; do :; done")
	eventually(t, func() error {
		for line := range strings.Lines(s.control(t, id, "cpu.stat")) {
			if n, ok := strings.CutPrefix(strings.TrimSpace(line), "nr_throttled "); ok && n != "0" {
				return nil
			}
		}
		return fmt.Errorf("it was never held back")
	})
	if got := s.control(t, id, "cpu.max"); got != "10000 100000" {
		t.Errorf("cpu.max is %s", got)
	}
}

func TestProcessesAreLimited(t *testing.T) {
	s := tests.site(t)
	done := s.Try(t, "run", "--rm", "--pids-limit", "10", s.Image, "sh", "-c", "for i in $(seq 30); do sleep 1000 & done; wait")
	if done.Code == 0 || !strings.Contains(done.Stderr, "can't fork") {
		t.Errorf("30 processes of 10: %+v", done)
	}
	if got := s.Docker(t, "run", "--rm", s.Image, "sh", "-c", "for i in $(seq 30); do true & done; wait; echo all"); got != "all" {
		t.Errorf("30 processes of 256: %s", got)
	}
}

// control is what a file of a container's control group says.
func (s *site) control(t *testing.T, id, file string) string {
	t.Helper()
	pid := s.Inspect(t, id, "{{.State.Pid}}")
	return s.root(t, fmt.Sprintf("cat /sys/fs/cgroup$(sed -n 's/^0:://p' /proc/%s/cgroup)/%s", pid, file))
}

package metal

import (
	"fmt"
	"strings"
	"testing"
)

// What the tests below are worth depends on it.
func TestTheMachineIsWhatARackIsNot(t *testing.T) {
	s := tests.site(t)
	for command, want := range map[string]string{
		"stat -f -c %T /sys/fs/cgroup":                    "cgroup2fs",
		"cat /sys/module/zfs/version":                     "2.",
		"ps -o comm= -p 1":                                "systemd",
		"systemctl is-enabled spearhead-agent":            "enabled",
		"systemctl is-active spearhead-head":              "active",
		"dpkg-query -W -f '${Status}' spearhead":          "install ok installed",
		"zpool list -H -o health bay":                     "ONLINE",
		"spearhead pool show bay | grep -c ONLINE":        "4",
		"zfs list -H -o name bay/spearhead/volumes":       "bay/spearhead/volumes",
		"systemctl show -p NRestarts spearhead-agent":     "NRestarts=0",
		"systemctl --failed --no-legend | wc -l":          "0",
		"ls /sys/fs/cgroup/spearhead/cgroup.controllers":  "cgroup.controllers",
		"spearhead node ls | awk 'NR > 1 {print $1, $3}'": "node-1 ready",
	} {
		if got := s.root(t, command); !strings.Contains(got, want) {
			t.Errorf("%s: %q; want %q", command, got, want)
		}
	}
	if got := s.Docker(t, "info", "--format", "{{.CgroupVersion}}"); got != "2" {
		t.Errorf("docker info tells of cgroup version %q", got)
	}
	// What a disk holds already, a pool does not take.
	if done, err := s.machine.Try(t.Context(), "spearhead pool create again /dev/vdb /dev/vdc", nil); err != nil || done.Code == 0 {
		t.Errorf("disks of a pool made another: %v, %+v", err, done)
	}
}

func TestContainersLiveAsElsewhere(t *testing.T) {
	s := tests.site(t)
	id := s.Run(t, "--name", "life", "-e", "WORD=hello", s.Image, "sh", "-c", "echo $WORD; trap 'echo bye; exit 3' TERM; while :; do sleep 1; done")
	s.logged(t, id, "hello")
	if got := s.Docker(t, "exec", id, "sh", "-c", "echo inside; hostname"); !strings.HasPrefix(got, "inside") {
		t.Errorf("exec said %q", got)
	}
	if got := s.Docker(t, "exec", id, "cat", "/proc/self/cgroup"); got != "0::/" {
		t.Errorf("a container sees its control group as %q", got)
	}
	// The agent's unit is protected when memory runs out, its containers are not.
	if got := s.Docker(t, "exec", id, "cat", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj"); got != "0\n0" {
		t.Errorf("the kernel spares containers by %q", got)
	}
	if got := s.Docker(t, "stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", id); !strings.Contains(got, "/ 128MiB") || strings.HasSuffix(got, " 0") || strings.HasPrefix(got, "0B") {
		t.Errorf("stats tell %q", got)
	}
	if got := s.Docker(t, "top", id); !strings.Contains(got, "sleep 1") {
		t.Errorf("top tells %q", got)
	}
	s.Docker(t, "pause", id)
	if got := s.Inspect(t, id, "{{.State.Status}}"); got != "paused" {
		t.Errorf("it is %s", got)
	}
	s.Docker(t, "unpause", id)
	s.Docker(t, "stop", "-t", "60", id)
	s.logged(t, id, "bye")
	if got := s.Inspect(t, id, "{{.State.ExitCode}}"); got != "3" {
		t.Errorf("its exit code is %s", got)
	}
	s.Docker(t, "start", id)
	if got := s.Docker(t, "run", "--rm", "--init", s.Image, "ps"); !strings.Contains(got, "init") {
		t.Errorf("with --init there is %q", got)
	}
	// The container's own address is reached from the machine's network.
	if got := s.Docker(t, "run", "--rm", s.Image, "ping", "-c", "1", "-w", "60", s.AddressOf(t, id)); !strings.Contains(got, "1 packets received") {
		t.Errorf("one container does not reach another: %s", got)
	}
	// The root is a clone on the pool, and holds what its package says.
	done := s.Try(t, "exec", id, "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=300")
	if done.Code == 0 || !full(done.Stderr) {
		t.Errorf("300 MiB into a root of 256: %+v", done)
	}
}

// full tells whether a text says that there is no more room: OpenZFS, as other file systems
// with quotas, has a name of its own for what is due to a quota.
func full(text string) bool {
	return strings.Contains(text, "No space left") || strings.Contains(strings.ToLower(text), "quota exceeded")
}

// logged waits until a container's log holds the text.
func (s *site) logged(t *testing.T, container, text string) {
	t.Helper()
	eventually(t, func() error {
		done := s.Try(t, "logs", container)
		if !strings.Contains(done.Stdout+done.Stderr, text) {
			return fmt.Errorf("the log of %s lacks %q: %s%s", container, text, done.Stdout, done.Stderr)
		}
		return nil
	})
}

package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// Each limit is hit, so that the node's kernel must hold the container to it. Disk and the
// size of volumes are in integration/volumes, for only ZFS has them; the rate of NICs is in
// network.
func TestLimitsBindInTheKernel(t *testing.T) {
	b := sharedBed(t)
	for name, test := range map[string]func(*testing.T, *bed.Bed){
		"memory": memoryBinds, "swap": swapBinds, "CPU": cpuBinds, "processes": processesBind,
		"writing": writingBinds, "reading": readingBinds, "I-O weight": ioWeightBinds, "changed": changedLimitsBind,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, b) })
	}
}

// grow takes memory without end.
const grow = "x=0123456789abcdef; while :; do x=$x$x; done"

func memoryBinds(t *testing.T, b *bed.Bed) {
	beside := b.Run(t, "-m", "32m", b.Image, "sleep", "1000")
	id := b.Run(t, "-m", "32m", "--memory-swap", "32m", b.Image, "sh", "-c", grow)
	bed.Eventually(t, func() error { return b.Exited(t, id) })
	if got := b.Inspect(t, id, "{{.State.ExitCode}} {{.State.OOMKilled}}"); got != "137 true" {
		t.Errorf("beyond its memory it ended with %s", got)
	}
	if got := b.Inspect(t, beside, "{{.State.Running}}"); got != "true" {
		t.Error("another container did not survive it")
	}
}

// swapBinds has a container keep files in memory, which can be swapped out: what exceeds
// memory and swap together is not to be had.
func swapBinds(t *testing.T, b *bed.Bed) {
	const look = "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.swap.max"
	id := b.Run(t, "-m", "32m", "--memory-swap", "48m", b.Image, "sleep", "1000")
	got := b.Docker(t, "exec", id, "sh", "-c", look)
	if got != strconv.Itoa(48<<20) && got != strconv.Itoa(16<<20) { // version 2 counts swap alone
		t.Errorf("the kernel's limit of swap is %s", got)
	}
	full := b.Run(t, "-m", "32m", "--memory-swap", "48m", "--tmpfs", "/t:size=200m", b.Image,
		"sh", "-c", "dd if=/dev/zero of=/t/big bs=1M count=100 && sleep 1000")
	bed.Eventually(t, func() error { return b.Exited(t, full) })
	if got := b.Inspect(t, full, "{{.State.OOMKilled}}"); got != "true" {
		t.Errorf("beyond memory and swap: killed by the kernel: %s", got)
	}
}

func cpuBinds(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--cpus", "0.1", b.Image, "sh", "-c", "while :; do :; done")
	bed.Eventually(t, func() error {
		text := b.Docker(t, "exec", id, "sh", "-c", "cat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null || cat /sys/fs/cgroup/cpu.stat")
		for line := range strings.Lines(text) {
			if count, ok := strings.CutPrefix(strings.TrimSpace(line), "nr_throttled "); ok && count != "0" {
				return nil
			}
		}
		return fmt.Errorf("it was never made to wait: %s", text)
	})
}

func processesBind(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--pids-limit", "8", b.Image, "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; wait")
	b.Logged(t, id, "can't fork")
}

func writingBinds(t *testing.T, b *bed.Bed) {
	disk := diskOf(t, b.Dir)
	ioTakes(t, b, []string{"--device-write-bps", disk + ":1mb"}, "dd if=/dev/zero of=/file bs=256k count=12 oflag=direct 2>/dev/null")
}

func readingBinds(t *testing.T, b *bed.Bed) {
	disk := diskOf(t, b.Dir)
	ioTakes(t, b, []string{"--device-read-bps", disk + ":1mb"},
		"dd if=/dev/zero of=/file bs=256k count=12 conv=fsync 2>/dev/null && dd if=/file of=/dev/null bs=256k iflag=direct 2>/dev/null")
}

// ioTakes runs a command that moves 3 MiB past a limit of 1 MiB a second. The least time
// that it takes is what a limit is, however slow the machine.
func ioTakes(t *testing.T, b *bed.Bed, limit []string, command string) {
	t.Helper()
	begin := time.Now()
	done := b.Try(t, append(append([]string{"run", "--rm"}, limit...), b.Image, "sh", "-c", command)...)
	if done.Code != 0 {
		t.Fatalf("%+v", done)
	}
	if took := time.Since(begin); took < 1500*time.Millisecond {
		t.Errorf("3 MiB at 1 MiB a second took %s", took)
	}
}

// diskOf is the whole disk that a folder's file system is on.
func diskOf(t *testing.T, dir string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	at, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		t.Skip("needs a file system on a disk, whose reads and writes can be limited")
	}
	if _, err := os.Stat(filepath.Join(at, "partition")); err == nil {
		at = filepath.Dir(at)
	}
	disk := "/dev/" + filepath.Base(at)
	if _, err := os.Stat(disk); err != nil {
		t.Skip("needs the disk's device in /dev")
	}
	return disk
}

// ioWeightBinds: where the kernel has weights it is told the container's, and where it has
// none the start is refused.
func ioWeightBinds(t *testing.T, b *bed.Bed) {
	done := b.Try(t, "run", "--rm", "--blkio-weight", "300", b.Image, "sh", "-c",
		"cat /sys/fs/cgroup/blkio/blkio.bfq.weight 2>/dev/null || cat /sys/fs/cgroup/blkio/blkio.weight 2>/dev/null || cat /sys/fs/cgroup/io.bfq.weight")
	switch {
	case done.Code != 0 && strings.Contains(strings.ToLower(done.Stderr), "weight"):
	case done.Code != 0 || !strings.Contains(done.Stdout, "300"):
		t.Errorf("neither held nor refused by name: %+v", done)
	}
}

// changedLimitsBind: a limit that docker update lowers is the kernel's at once.
func changedLimitsBind(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-m", "64m", b.Image, "sleep", "1000")
	b.Docker(t, "update", "--memory", "24m", "--memory-swap", "24m", id)
	done := b.Try(t, "exec", id, "sh", "-c", grow)
	if done.Code == 0 {
		t.Errorf("a lowered limit did not bind: %+v", done)
	}
	bed.Eventually(t, func() error {
		if got := b.Docker(t, "inspect", "--format", "{{.HostConfig.Memory}}", id); got != strconv.Itoa(24<<20) {
			return errors.New("docker inspect shows " + got)
		}
		return nil
	})
}

package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// TestMain runs the tests in a mount namespace of their own, where crun finds
// control groups that it accepts. Called as "iod", the test binary is the
// supervisor.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == "iod" {
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
		err := iod.Main(ctx, iod.Config{RunDir: os.Args[3], StateDir: os.Args[5], Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getuid() != 0 || os.Getenv("RUNTIME_TEST_INSIDE") != "" {
		os.Exit(m.Run())
	}
	os.Exit(runInside())
}

// runInside also reaps, as an init system does, what killed supervisors leave.
func runInside() int {
	self, err := os.Executable()
	if err == nil {
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// A namespace that holds a copy of another test's dataset keeps it busy.
	const script = `umount /sys/fs/cgroup/unified 2>/dev/null
awk '$3 == "fuse.zfs" {print $2}' /proc/self/mounts | xargs -r umount -l 2>/dev/null
exec "$0" "$@"`
	cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", script, self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), "RUNTIME_TEST_INSIDE=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case pid == cmd.Process.Pid:
			return ws.ExitStatus()
		case err != nil && !errors.Is(err, unix.EINTR):
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

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
		// Orphans of killed supervisors come to this process.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(m.Run())
	}
	os.Exit(runInside())
}

func runInside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), "RUNTIME_TEST_INSIDE=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if _, err := os.Stat("/sys/fs/cgroup/unified/cgroup.controllers"); err == nil {
		cmd = exec.Command("unshare", append([]string{"-m", "sh", "-c", "umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"", "/proc/self/exe"}, os.Args[1:]...)...)
		self, err := os.Executable()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		cmd.Args[5] = self
		cmd.Env = append(os.Environ(), "RUNTIME_TEST_INSIDE=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

package endtoend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// inside is set in the environment of the tests when they run in namespaces
// of their own.
const inside = "AGENT_TEST_INSIDE"

// enter gives the tests what they must not share with the machine: mounts, a
// loopback, and control groups as crun wants them on a machine that has both
// versions mounted.
const enter = `
mount --make-rprivate /
ip link set lo up
umount /sys/fs/cgroup/unified 2>/dev/null
awk '$3 == "fuse.zfs" {print $2}' /proc/self/mounts | xargs -r umount -l 2>/dev/null
exec "$0" "$@"`

// TestMain is also the program that the tests start: an agent or its iod.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && (os.Args[1] == "iod" || os.Args[1] == "agent") {
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
		err := program(ctx)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cmd := exec.Command("unshare", append([]string{"--mount", "--net", "sh", "-c", enter, self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var ended *exec.ExitError
	if err := cmd.Run(); errors.As(err, &ended) {
		os.Exit(ended.ExitCode())
	} else if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func program(ctx context.Context) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if os.Args[1] == "iod" { // iod --run-dir DIR --state-dir DIR
		return iod.Main(ctx, iod.Config{RunDir: os.Args[3], StateDir: os.Args[5], Logger: logger})
	}
	var cfg agent.Config
	if err := json.Unmarshal([]byte(os.Args[2]), &cfg); err != nil {
		return err
	}
	cfg.Logger = logger
	return agent.Run(ctx, cfg)
}

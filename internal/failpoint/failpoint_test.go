package failpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
)

// childVariable makes the test binary hit one failpoint and end, in place of the tests.
const childVariable = "FAILPOINT_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := failpoint.Hit(name); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hit runs Hit(name) in a fresh process with the given FAILPOINTS.
func hit(t *testing.T, name, failpoints string) (stderr string, state *os.ProcessState) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name, failpoint.Variable+"="+failpoints)
	var out strings.Builder
	cmd.Stderr = &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState
}

func TestHitDoesWhatTheEnvironmentSays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failpoints string
		code       int
		stderr     string
	}{
		{"", 0, ""},
		{"other=kill", 0, ""},
		{"place=error", 3, "failpoint place is armed"},
		{"other=kill, place=error", 3, "failpoint place is armed"},
		{"place=panic", 2, "failpoint place is armed"},
		{"place=sleep", 3, "the action is error, panic or kill"},
		{"place", 3, "is not name=action"},
	} {
		stderr, state := hit(t, "place", test.failpoints)
		if state.ExitCode() != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("FAILPOINTS=%q: exit code %d, stderr %q; want %d and %q",
				test.failpoints, state.ExitCode(), stderr, test.code, test.stderr)
		}
	}
}

func TestKillIsNotCatchable(t *testing.T) {
	t.Parallel()
	_, state := hit(t, "place", "place=kill")
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("ended with %v, want SIGKILL", state)
	}
}

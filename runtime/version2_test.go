package runtime_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// onVersion2 gives a copy of the tests mounts of its own, with nothing but
// version 2 of control groups.
const onVersion2 = `mount --make-rprivate / && umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"`

// version2Tests are what is run there: the basic life of containers, crashes,
// and the census.
const version2Tests = "^(TestContainerWritesAndEnds|TestTerminal|TestExec|TestNothingIsLeft|TestRestartedAgentFindsItsContainers|TestLimitsNeedControllers)$"

func TestControlGroupsOfVersion2(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: control groups are mounted")
	}
	for _, oci := range []string{"crun", "runc"} {
		t.Run(oci, func(t *testing.T) {
			if oci == "crun" && !maySetLimits() {
				t.Skip("needs CAP_SYS_RESOURCE: with version 2 crun raises its limit of locked memory")
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", onVersion2, self, "-test.v", "-test.run", version2Tests)
			cmd.Env = append(os.Environ(), "RUNTIME_TEST_INSIDE=1", testRuntime+"="+oci)
			out, err := cmd.CombinedOutput()
			if strings.Contains(string(out), "umount: ") || strings.Contains(string(out), "mount: ") {
				t.Skipf("needs a machine that lets version 2 of control groups be mounted: %s", out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), "PASS: TestContainerWritesAndEnds") {
				t.Skipf("needs %s: install it", oci)
			}
		})
	}
}

// maySetLimits tells whether the limit of locked memory can be infinite.
func maySetLimits() bool {
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &now) != nil {
		return false
	}
	if now.Max == unix.RLIM_INFINITY {
		return true
	}
	if unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: now.Cur, Max: unix.RLIM_INFINITY}) != nil {
		return false
	}
	return unix.Setrlimit(unix.RLIMIT_MEMLOCK, &now) == nil
}

func TestLimitsNeedControllers(t *testing.T) {
	n := newNode(t)
	controllers, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		t.Skip("needs version 2 of control groups; another test gives it that")
	}
	if strings.Contains(string(controllers), "memory") {
		t.Skip("needs a machine whose memory controller is bound to version 1")
	}
	spec := sh("true")
	spec.Limits.Memory = 64 << 20
	id := n.create(spec)
	_, err = n.startErr(id, spec)
	if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "no memory controller") {
		t.Errorf("a limit of memory: %v", err)
	}
	n.remove(id)
	if all := strings.Join(n.Info().Warnings, "\n"); !strings.Contains(all, "limits of cpu") {
		t.Errorf("the operator is not warned: %s", all)
	}
}

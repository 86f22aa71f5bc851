package runtime_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// onVersion2 gives a copy of the tests mounts of its own, with nothing but
// version 2 of control groups.
const onVersion2 = `mount --make-rprivate / && umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"`

// version2Tests are what is run there: the basic life of containers, crashes,
// and the census.
const version2Tests = "^(TestContainerWritesAndEnds|TestTerminal|TestExec|TestPause.*|TestPaused.*|TestProbe.*|TestLateProbe.*|TestStats|TestUmask.*|TestNothingIsLeft|TestRestartedAgentFindsItsContainers|TestPrivilegedContainer|TestLimitsNeedControllers)$"

// unfilteredTests need no filter of devices, which crun cannot install with
// version 2 when it may not raise its limit of locked memory.
const unfilteredTests = "^(TestPrivilegedContainer|TestLimitsNeedControllers)$"

func TestControlGroupsOfVersion2(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: control groups are mounted")
	}
	for _, oci := range []string{"crun", "runc"} {
		t.Run(oci, func(t *testing.T) {
			tests := version2Tests
			if oci == "crun" && !maySetLimits() {
				t.Log("without CAP_SYS_RESOURCE only privileged containers are tested")
				tests = unfilteredTests
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", onVersion2, self, "-test.v", "-test.run", tests)
			cmd.Env = append(os.Environ(), "RUNTIME_TEST_INSIDE=1", testRuntime+"="+oci)
			out, err := cmd.CombinedOutput()
			if strings.Contains(string(out), "umount: ") || strings.Contains(string(out), "mount: ") {
				t.Skipf("needs a machine that lets version 2 of control groups be mounted: %s", out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), "PASS: TestPrivilegedContainer") {
				t.Skipf("needs %s: install it", oci)
			}
		})
	}
}

func TestPrivilegedContainer(t *testing.T) {
	n := newNode(t)
	spec := sh("read a; echo got $a; exit 7")
	spec.Privileged, spec.OpenStdin, spec.StdinOnce = true, true, true
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdin: true, Stdout: true})
	n.start(id, spec)
	if code, out, _ := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", "grep CapEff /proc/self/status; exit 3"}, Privileged: true}); code != 3 || !strings.Contains(out, "ff\n") { // the lower ones, at least
		t.Errorf("exec: %d %q", code, out)
	}
	n.killIod()
	io.WriteString(n.attach(id, runtime.AttachOptions{Stdin: true}), "word\n")
	if e := n.waitExit(id); e.ExitCode != 7 || e.Unknown {
		t.Errorf("got %+v", e)
	}
	s.Close()
	n.remove(id)
	for _, pattern := range []string{"/sys/fs/cgroup/*", "/sys/fs/cgroup"} {
		if left, _ := filepath.Glob(pattern + n.cfg.CgroupParent + "/*/*/cgroup.procs"); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
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

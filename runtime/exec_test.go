package runtime_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// exec runs a command in a container to its end.
func (n *node) exec(id string, spec runtime.ExecSpec) (code int, stdout, stderr string) {
	n.Helper()
	spec.ID, spec.Stdout, spec.Stderr = model.NewID(), true, true
	s, err := n.ExecStart(n.ctx, id, spec)
	if err != nil {
		n.Fatal(err)
	}
	defer s.Close()
	stdout, stderr = n.read(s, spec.Tty)
	st, err := n.ExecState(n.ctx, spec.ID)
	if err != nil || st.Running || st.ExitCode == nil {
		n.Fatalf("state after the end: %+v, %v", st, err)
	}
	return *st.ExitCode, stdout, stderr
}

func TestExec(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 1000")
	spec.Env, spec.User, spec.WorkingDir, spec.GroupAdd = []string{"COLOUR=blue"}, "ada", "/tmp", []string{"wheel", "900"}
	id := n.create(spec)
	n.start(id, spec)
	if code, out, errOut := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", "echo $COLOUR $SIZE $(id -u) $HOME $(pwd); echo e >&2; exit 200"}, Env: []string{"SIZE=l"}}); code != 200 || out != "blue l 1001 /home/ada /tmp\n" || errOut != "e\n" {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	if _, out, _ := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", "id -u; pwd; echo $HOME; grep Seccomp: /proc/self/status"}, User: "0", WorkingDir: "/etc"}); out != "0\n/etc\n/root\nSeccomp:\t2\n" {
		t.Errorf("as root: %q", out)
	}
	if _, out, _ := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", "id -G; id -g"}, User: "0:77"}); out != "77 10 900\n77\n" {
		t.Errorf("groups: %q", out)
	}
	// crun may let the command run a moment before it sets the size.
	size := `until s=$(stty size 2>/dev/null); [ "$s" ]; do i=$((i+1)); [ $i -lt 1000 ] || exit 1; usleep 10000; done; echo $s`
	if code, out, _ := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", size}, Tty: true, Size: &[2]uint16{41, 99}}); code != 0 || out != "41 99\r\n" {
		t.Errorf("terminal: %d %q", code, out)
	}
	for _, code := range []int{0, 1, 127, 255} {
		if got, _, _ := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", fmt.Sprintf("exit %d", code)}}); got != code {
			t.Errorf("exit %d was told as %d", code, got)
		}
	}
	_, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: model.NewID(), Args: []string{"nosuch"}})
	if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "OCI runtime exec failed") {
		t.Errorf("unknown command: %v", err)
	}
	if _, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: model.NewID(), Args: []string{"pwd"}, WorkingDir: "/proc/self/fd/6"}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("working directory in /proc: %v", err)
	}
	s, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: model.NewID(), Args: []string{"cat"}, Stdin: true, Stdout: true})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "through")
	s.CloseWrite()
	if out, _ := n.read(s, false); out != "through" {
		t.Errorf("cat: %q", out)
	}
	if titles, rows, err := n.Top(n.ctx, id, ""); err != nil || len(rows) == 0 || titles[7] != "CMD" {
		t.Errorf("top: %v %v %v", titles, rows, err)
	}
	if titles, rows, err := n.Top(n.ctx, id, "-o pid,comm"); err != nil || len(rows) == 0 || titles[0] != "PID" {
		t.Errorf("top by ps: %v %v %v", titles, rows, err)
	}
	if _, _, err := n.Top(n.ctx, id, "-eo comm=PID,pid=X"); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("top with renamed columns: %v", err)
	}
}

func TestExecOfAnotherUserHasHisHome(t *testing.T) {
	n := newNode(t)
	for home, want := range map[string]string{"": "/home/ada", "/asked/for": "/asked/for"} {
		spec := sh("sleep 1000")
		spec.Env = []string{"HOME=" + home}
		id := n.create(spec)
		n.start(id, spec)
		if _, out, _ := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", "echo $HOME"}, User: "ada"}); out != want+"\n" {
			t.Errorf("a container with HOME=%s: %q", home, out)
		}
	}
}

// TestContainerEndsAfterAFailedExec: what the OCI runtime leaves of a failure is
// in the container's process namespace, which does not end before it is reaped.
func TestContainerEndsAfterAFailedExec(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 1000")
	id := n.create(spec)
	n.start(id, spec)
	if _, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: model.NewID(), Args: []string{"nosuch"}}); !model.IsKind(err, model.KindInvalid) {
		t.Fatal(err)
	}
	if err := n.Signal(n.ctx, id, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := n.waitExit(id); e.ExitCode != 137 {
		t.Errorf("got %+v", e)
	}
	n.remove(id)
}

func TestExecSurvivesTheSupervisor(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 1000")
	id := n.create(spec)
	n.start(id, spec)
	exec := model.NewID()
	if _, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: exec, Detach: true, Args: []string{"sh", "-c", "sleep 0.5; echo x; exit 12"}}); err != nil {
		t.Fatal(err)
	}
	n.killIod()
	n.eventually("the exec's end", func() bool {
		st, err := n.ExecState(n.ctx, exec)
		return err == nil && st.ExitCode != nil && *st.ExitCode == 12
	})
}

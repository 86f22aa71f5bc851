package runtime_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// killIod kills the supervisor and waits until another one is there.
func (n *node) killIod() {
	n.Helper()
	old := n.iodPid()
	if old == 0 || unix.Kill(old, unix.SIGKILL) != nil {
		n.Fatalf("no supervisor to kill: %d", old)
	}
	n.eventually("another supervisor", func() bool { p := n.iodPid(); return p != 0 && p != old })
}

// numbers checks that lines are numbers that go up, and returns the last.
func numbers(t testing.TB, text string) int {
	t.Helper()
	last := 0
	for line := range strings.Lines(text) {
		var i int
		if _, err := fmt.Sscanf(line, "%d\n", &i); err != nil || i <= last {
			t.Fatalf("line %q after %d", line, last)
		}
		last = i
	}
	return last
}

func TestKilledSupervisorUnderOutput(t *testing.T) {
	n := newNode(t)
	spec := sh("i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo $i; usleep 200; done; exit 42")
	id := n.create(spec)
	p := n.start(id, spec)
	for i := range 4 {
		time.Sleep(time.Duration(37*(i+1)) * time.Millisecond) // a moment like any other
		n.killIod()
	}
	list, err := n.Running(n.ctx)
	if err != nil || len(list) != 1 || list[0].Pid != p.Pid || list[0].StartTicks != p.StartTicks {
		t.Fatalf("after the kills %v runs, was %v: %v", list, p, err)
	}
	if e := n.waitExit(id); e.ExitCode != 42 || e.Unknown {
		t.Fatalf("got %+v", e)
	}
	out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1})
	// What the killed one had read and not yet logged may be missing.
	if last, lines := numbers(t, out), strings.Count(out, "\n"); last != 4000 || lines < 3900 {
		t.Fatalf("log has %d lines, the last is %d", lines, last)
	}
	n.remove(id)
}

func TestEndWhileNoSupervisorIsThere(t *testing.T) {
	n := newNode(t)
	spec := sh("read a; echo last words; exit 7")
	spec.OpenStdin = true
	id := n.create(spec)
	n.start(id, spec)
	s := n.attach(id, runtime.AttachOptions{Stdin: true})
	iod := n.iodPid()
	unix.Kill(iod, unix.SIGSTOP) // it will not see the end
	list := containerPids(t, n)
	stdin, err := os.OpenFile(n.cfg.RunDir+"/units/"+id+"/stdin", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(stdin, "go\n")
	stdin.Close()
	n.eventually("the container to end", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", list[0]))
		return err != nil || strings.Contains(string(b), ") Z ")
	})
	unix.Kill(iod, unix.SIGKILL)
	if e := n.waitExit(id); e.ExitCode != 7 || e.Unknown {
		t.Fatalf("got %+v", e)
	}
	if out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1}); out != "last words\n" {
		t.Fatalf("log: %q", out)
	}
	s.Close()
	n.remove(id)
}

// containerPids finds first processes by the names of their control groups.
func containerPids(t testing.TB, n *node) (pids []int) {
	t.Helper()
	out, err := exec.Command("sh", "-c", "cat /sys/fs/cgroup/pids"+n.cfg.CgroupParent+"/acct/*/cgroup.procs || cat /sys/fs/cgroup"+n.cfg.CgroupParent+"/acct/*/cgroup.procs").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(out)) {
		var p int
		fmt.Sscan(f, &p)
		pids = append(pids, p)
	}
	return pids
}

func TestKilledSupervisorLeavesTerminalsAndInput(t *testing.T) {
	n := newNode(t)
	tty := sh("while read a; do echo got $a; done")
	tty.Tty, tty.OpenStdin = true, true
	cat := &model.ContainerSpec{Entrypoint: []string{"/bin/cat"}, OpenStdin: true, StdinOnce: true}
	ttyID, catID := n.create(tty), n.create(cat)
	n.start(ttyID, tty)
	n.start(catID, cat)
	n.killIod()
	s := n.attach(ttyID, runtime.AttachOptions{Stdin: true, Stdout: true})
	io.WriteString(s, "this\n")
	var seen strings.Builder
	for buf := make([]byte, 1); !strings.Contains(seen.String(), "got this"); {
		if _, err := s.Read(buf); err != nil {
			t.Fatalf("%v after %q", err, seen.String())
		}
		seen.Write(buf)
	}
	c := n.attach(catID, runtime.AttachOptions{Stdin: true, Stdout: true})
	io.WriteString(c, "and that\n")
	c.CloseWrite()
	if out, _ := n.read(c, false); out != "and that\n" {
		t.Fatalf("got %q", out)
	}
	if e := n.waitExit(catID); e.ExitCode != 0 || e.Unknown {
		t.Fatalf("got %+v", e)
	}
	s.Close()
}

func TestRestartedAgentFindsItsContainers(t *testing.T) {
	n := newNode(t)
	spec := sh("i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; usleep 1000; done; exit 9")
	id := n.create(spec)
	short := n.create(sh("exit 5"))
	p := n.start(id, spec)
	n.cancel()
	n.Close() // the agent is gone
	unix.Kill(n.iodPid(), unix.SIGKILL)
	n.open()
	list, err := n.Running(n.ctx)
	if err != nil || len(list) != 1 || list[0].Pid != p.Pid || list[0].Run != p.Run {
		t.Fatalf("runs: %v, was %v: %v", list, p, err)
	}
	n.start(short, sh("exit 5"))
	if e := n.waitExit(short); e.ExitCode != 5 {
		t.Fatalf("got %+v", e)
	}
	if e := n.waitExit(id); e.ExitCode != 9 || e.Unknown {
		t.Fatalf("got %+v", e)
	}
	out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1})
	if numbers(t, out) != 300 {
		t.Fatalf("log ends with %q", out[len(out)-10:])
	}
	n.remove(id)
}

func TestUnacknowledgedExitIsToldAgain(t *testing.T) {
	n := newNode(t)
	spec := sh("exit 6")
	id := n.create(spec)
	n.start(id, spec)
	first := <-n.exitOf(id)
	n.cancel()
	n.Close()
	unix.Kill(n.iodPid(), unix.SIGKILL)
	n.open()
	if again := n.waitExit(id); again != first {
		t.Fatalf("told %+v, then %+v", first, again)
	}
	n.killIod()
	if err := n.Clean(n.ctx, id); err != nil {
		t.Fatal(err)
	}
	n.start(id, spec)
	if e := n.waitExit(id); e.Run == first.Run {
		t.Fatalf("acknowledged exit is told again: %+v", e)
	}
	n.remove(id)
}

// children lists those of this process that are dead or alive, but for the
// supervisor.
func (n *node) children() (pids []string) {
	n.Helper()
	list, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	if err != nil {
		n.Fatal(err)
	}
	for _, pid := range strings.Fields(string(list)) {
		if pid != fmt.Sprint(n.iodPid()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestOrphansOfAKilledSupervisorAreReaped(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 1000")
	id := n.create(spec)
	p := n.start(id, spec)
	exec := model.NewID()
	if _, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: exec, Detach: true, Args: []string{"sh", "-c", "read a < /dev/zero; exit 12"}}); err != nil {
		t.Fatal(err)
	}
	before, err := n.ExecState(n.ctx, exec)
	if err != nil || !before.Running {
		t.Fatalf("the exec is %+v: %v", before, err)
	}
	n.killIod()
	if got := n.children(); !slices.Contains(got, fmt.Sprint(p.Pid)) || !slices.Contains(got, fmt.Sprint(before.Pid)) {
		t.Fatalf("the orphans %d and %d are not among the children %v", p.Pid, before.Pid, got)
	}
	if err := n.Signal(n.ctx, id, unix.SIGKILL); err != nil { // its namespace ends with it, if the exec is reaped
		t.Fatal(err)
	}
	if e := n.waitExit(id); e.ExitCode != 137 || e.Unknown {
		t.Errorf("got %+v", e)
	}
	n.eventually("the orphans to be reaped", func() bool {
		got := n.children()
		return !slices.Contains(got, fmt.Sprint(p.Pid)) && !slices.Contains(got, fmt.Sprint(before.Pid))
	})
	if st, err := n.ExecState(n.ctx, exec); err != nil || st.ExitCode == nil || *st.ExitCode != 137 {
		t.Errorf("the exec is %+v: %v", st, err)
	}
	n.remove(id)
}

// TestSupervisorKilledInTheMiddleOfAStart kills it between its steps: once,
// and then the next one carries the start through; or each one that is asked.
func TestSupervisorKilledInTheMiddleOfAStart(t *testing.T) {
	for _, point := range []string{"recorded", "created", "supervised", "released"} {
		t.Run(point, func(t *testing.T) { startUnderKills(t, "iod/start-"+point, false) })
	}
	for _, point := range []string{"recorded", "created"} {
		t.Run(point+" each time", func(t *testing.T) { startUnderKills(t, "iod/start-"+point, true) })
	}
}

func startUnderKills(t *testing.T, point string, always bool) {
	t.Setenv(failpoint.Variable, point+"=kill")
	n := newNode(t)
	if !always {
		os.Setenv(failpoint.Variable, "") // for the next supervisor
	}
	// It is silent until all kills are over: what a killed supervisor has read and
	// not yet logged is lost.
	spec := sh("read a; echo begun; read a; exit 7")
	spec.OpenStdin = true
	id := n.create(spec)
	_, err := n.startErr(id, spec)
	if err != nil && !always {
		t.Errorf("the next supervisor did not start it: %v", err)
	}
	os.Setenv(failpoint.Variable, "")
	if always { // one that is not armed
		n.eventually("another supervisor", func() bool { return n.iodPid() != 0 })
		n.killIod()
	}
	list, listErr := n.Running(n.ctx)
	if listErr != nil || err == nil && len(list) != 1 {
		t.Fatalf("after the start with %v there runs %v: %v", err, list, listErr)
	}
	if len(list) == 0 {
		if err := n.Clean(n.ctx, id); err != nil {
			t.Fatal(err)
		}
		n.start(id, spec)
	}
	s := n.attach(id, runtime.AttachOptions{Stdin: true})
	io.WriteString(s, "begin\n")
	n.eventually("the container to begin", func() bool {
		out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1})
		return out == "begun\n"
	})
	io.WriteString(s, "word\n")
	if e := n.waitExit(id); e.ExitCode != 7 || e.Unknown {
		t.Errorf("got %+v", e)
	}
	s.Close()
	n.remove(id)
	n.wantNothingLeft()
}

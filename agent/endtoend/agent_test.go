package endtoend

import (
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// server is a script that serves HTTP on its address and ends with 7 when it
// is asked to.
const server = `mkdir -p /www; hostname > /www/index.html; httpd -h /www; trap "exit 7" TERM; echo hello; while :; do sleep 0.05; done`

func TestContainerFromPullToRemoval(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r := n.request(server)
	id := r.Container.ID
	_, err := n.client.Create(t.Context(), r)
	n.ok(err)
	stream, err := n.client.Attach(t.Context(), id, wire.AttachRequest{Stdout: true, Stderr: true, Stream: true})
	n.ok(err)
	defer stream.Close()
	_, err = n.client.Start(t.Context(), id)
	n.ok(err)
	if got := n.output(stream, "hello"); got != "hello\n" {
		t.Errorf("the container said %q", got)
	}
	if got := get(t, r.Container.NICs[0].Address.Addr().String()); got != "c\n" {
		t.Errorf("at its own address the container serves %q", got)
	}
	if got, code := n.exec(id, "cat", "/etc/hosts"); code != 0 || !strings.Contains(got, r.Container.NICs[0].Address.Addr().String()+"\tc\n") {
		t.Errorf("the hosts file, code %d:\n%s", code, got)
	}
	table, err := n.client.Top(t.Context(), id, "")
	n.ok(err)
	if len(table.Rows) < 2 {
		t.Errorf("top says %+v", table)
	}

	before, _ := n.container(id)
	n.kill()
	if unix.Kill(before.Pid, 0) != nil {
		t.Fatal("the container ended with the agent")
	}
	n.start("")
	after, _ := n.container(id)
	if after.Status != model.StatusRunning || after.Pid != before.Pid {
		t.Errorf("before the agent was killed the container was %+v, after it %+v", before, after)
	}
	if got := get(t, r.Container.NICs[0].Address.Addr().String()); got != "c\n" {
		t.Errorf("after the agent was killed the container serves %q", got)
	}
	if got, code := n.exec(id, "sh", "-c", "echo in; exit 3"); got != "in\n" || code != 3 {
		t.Errorf("exec after the agent was killed: %q, %d", got, code)
	}
	_, err = n.client.Stop(t.Context(), id, wire.StopRequest{})
	n.ok(err)
	if s, _ := n.container(id); s.ExitCode != 7 || s.Status != model.StatusExited {
		t.Errorf("the stopped container is %+v", s)
	}
	log, err := n.client.Logs(t.Context(), id, wire.LogsRequest{Stdout: true, Stderr: true, Tail: -1})
	n.ok(err)
	defer log.Close()
	if got := n.output(log, ""); got != "hello\n" {
		t.Errorf("the log says %q", got)
	}
	_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{})
	n.ok(err)
	n.wantNothingLeft()
}

func get(t *testing.T, address string) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{}).DialContext,
	}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		resp, err := client.Get("http://" + address + "/")
		if err != nil {
			if time.Now().After(deadline) {
				t.Error(err)
				return ""
			}
			continue
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return string(body)
	}
}

func (n *node) exec(id string, args ...string) (string, int) {
	n.Helper()
	spec := wire.ExecSpec{ID: model.NewID(), Args: args, Stdout: true, Stderr: true}
	n.ok(n.client.ExecCreate(n.Context(), id, spec))
	s, err := n.client.ExecStart(n.Context(), spec.ID, wire.ExecStartRequest{})
	n.ok(err)
	defer s.Close()
	out := n.output(s, "")
	state, err := n.client.ExecInspect(n.Context(), spec.ID)
	n.ok(err)
	if state.ExitCode == nil {
		n.Fatalf("after the end of its output the exec is %+v", state)
	}
	return out, *state.ExitCode
}

func TestExecHasTheSizeThatItWasCreatedWith(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r := n.request("sleep 1000")
	id := r.Container.ID
	_, err := n.client.Create(t.Context(), r)
	n.ok(err)
	_, err = n.client.Start(t.Context(), id)
	n.ok(err)
	created := wire.TerminalSize{Rows: 41, Columns: 99}
	// crun sizes an exec's terminal when it runs already: see runtime's design.
	size := `until s=$(stty size 2>/dev/null); [ "$s" ]; do i=$((i+1)); [ $i -lt 1000 ] || exit 1; usleep 10000; done; echo $s`
	for want, start := range map[string]*wire.TerminalSize{"41 99\r\n": nil, "20 60\r\n": {Rows: 20, Columns: 60}} {
		spec := wire.ExecSpec{ID: model.NewID(), Args: []string{"sh", "-c", size}, Tty: true, Stdin: true, Stdout: true, ConsoleSize: &created}
		n.ok(n.client.ExecCreate(t.Context(), id, spec))
		s, err := n.client.ExecStart(t.Context(), spec.ID, wire.ExecStartRequest{Size: start})
		n.ok(err)
		got, err := io.ReadAll(s)
		n.ok(err)
		if string(got) != want {
			t.Errorf("with the size %v at its start the terminal said %q", start, got)
		}
		s.Close()
	}
	_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{Force: true})
	n.ok(err)
}

// TestContainerFromPullToRemovalWithRunc is the same life with the other OCI
// runtime.
func TestContainerFromPullToRemovalWithRunc(t *testing.T) {
	if _, err := exec.LookPath("runc"); err != nil {
		t.Skip("needs runc: apt install runc")
	}
	t.Setenv(testRuntime, "runc")
	TestContainerFromPullToRemoval(t)
}

func TestEndThatNoAgentSawIsToldTruly(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r := n.request("read x; exit 42")
	r.Container.Spec.OpenStdin = true
	id := r.Container.ID
	_, err := n.client.Create(t.Context(), r)
	n.ok(err)
	_, err = n.client.Start(t.Context(), id)
	n.ok(err)
	s, _ := n.container(id)
	n.kill()
	n.ok(unix.Kill(s.Pid, unix.SIGKILL))
	n.start("")
	if die := n.await(id, "die"); die.Attributes["exitCode"] != "137" || die.State.ExitUnknown {
		t.Errorf("the end is told as %+v, %+v", die.Attributes, die.State)
	}
	_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{})
	n.ok(err)
	n.wantNothingLeft()
}

func TestMissingExecutable(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r := n.request("")
	r.Container.Spec.Cmd = []string{"no-such-program"}
	_, err := n.client.Create(t.Context(), r)
	n.ok(err)
	_, err = n.client.Start(t.Context(), r.Container.ID)
	if err == nil || !strings.Contains(model.UserText(err), "executable file not found in $PATH") || !strings.HasPrefix(model.UserText(err), "failed to create task for container: ") {
		t.Errorf("the start said %v", err)
	}
	if s, _ := n.container(r.Container.ID); s.ExitCode != 127 || s.Status != model.StatusCreated {
		t.Errorf("the container is %+v", s)
	}
	_, err = n.client.Remove(t.Context(), r.Container.ID, wire.RemoveRequest{})
	n.ok(err)
	n.wantNothingLeft()
}

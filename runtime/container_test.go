package runtime_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

func TestContainerWritesAndEnds(t *testing.T) {
	n := newNode(t)
	e, out, errOut := n.run(sh("echo hello; echo oops >&2; exit 3"))
	if e.ExitCode != 3 || out != "hello\n" || errOut != "oops\n" || e.Unknown || e.OOMKilled {
		t.Fatalf("got %+v, %q, %q", e, out, errOut)
	}
}

func TestExitCodes(t *testing.T) {
	n := newNode(t)
	for _, code := range []int{0, 1, 2, 42, 125, 126, 127, 128, 137, 200, 254, 255} {
		if e, _, _ := n.run(sh(fmt.Sprintf("exit %d", code))); e.ExitCode != code || e.Unknown {
			t.Errorf("exit %d was told as %+v", code, e)
		}
	}
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGUSR1} {
		spec := sh("trap 'exit 128' HUP; kill -$0 $$; sleep 9")
		spec.Entrypoint = []string{"/bin/sleep", "100"}
		if sig != unix.SIGKILL { // the first process of a pid namespace has no default actions
			spec.Entrypoint = []string{"/bin/sh", "-c", fmt.Sprintf("trap 'exit %d' %d; echo ready; while :; do usleep 10000; done", 128+sig, sig)}
		}
		id := n.create(spec)
		s := n.attach(id, runtime.AttachOptions{Stdout: true})
		n.start(id, spec)
		if sig != unix.SIGKILL {
			io.ReadFull(s, make([]byte, 8+6))
		}
		if err := n.Signal(n.ctx, id, sig); err != nil {
			t.Fatal(err)
		}
		if e := n.waitExit(id); e.ExitCode != 128+int(sig) {
			t.Errorf("signal %d was told as %+v", sig, e)
		}
		s.Close()
		if err := n.Signal(n.ctx, id, sig); !model.IsKind(err, model.KindConflict) {
			t.Errorf("signalling an ended container: %v", err)
		}
		n.remove(id)
	}
}

func TestStdinEndsWithTheFirstClient(t *testing.T) {
	n := newNode(t)
	spec := &model.ContainerSpec{Entrypoint: []string{"/bin/cat"}, OpenStdin: true, StdinOnce: true}
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdin: true, Stdout: true, Stderr: true})
	n.start(id, spec)
	text := strings.Repeat("to and fro\n", 50_000)
	go func() {
		io.WriteString(s, text)
		s.CloseWrite()
	}()
	if out, _ := n.read(s, false); out != text {
		t.Fatalf("cat gave back %d bytes of %d", len(out), len(text))
	}
	if e := n.waitExit(id); e.ExitCode != 0 {
		t.Fatalf("got %+v", e)
	}
	n.remove(id)
}

func TestTerminal(t *testing.T) {
	n := newNode(t)
	spec := sh("read a; stty size; echo got $a; read b; stty size")
	spec.Tty, spec.OpenStdin, spec.StdinOnce = true, true, true
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdin: true, Stdout: true, Stderr: true})
	n.start(id, spec)
	if err := n.Resize(n.ctx, id, 33, 132); err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "word\n")
	var seen strings.Builder
	buf := make([]byte, 1)
	for !strings.Contains(seen.String(), "got word") {
		if _, err := s.Read(buf); err != nil {
			t.Fatalf("%v after %q", err, seen.String())
		}
		seen.Write(buf)
	}
	n.Resize(n.ctx, id, 20, 60)
	io.WriteString(s, "\n")
	rest, _ := n.read(s, true)
	seen.WriteString(rest)
	if got := seen.String(); !strings.Contains(got, "33 132\r\n") || !strings.Contains(got, "20 60\r\n") {
		t.Fatalf("terminal said %q", got)
	}
	if e := n.waitExit(id); e.ExitCode != 0 {
		t.Fatalf("got %+v", e)
	}
	n.remove(id)
}

func TestTerminalHasItsSizeFromTheFirstMoment(t *testing.T) {
	n := newNode(t)
	spec := sh("stty size")
	spec.Tty, spec.ConsoleSize = true, &model.TerminalSize{Rows: 41, Columns: 99}
	if _, out, _ := n.run(spec); out != "41 99\r\n" {
		t.Errorf("terminal said %q", out)
	}
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdout: true})
	if err := n.Resize(n.ctx, id, 20, 60); err != nil { // by a client that was there before the start
		t.Fatal(err)
	}
	n.start(id, spec)
	if out, _ := n.read(s, true); out != "20 60\r\n" {
		t.Errorf("terminal said %q after it was resized", out)
	}
	n.waitExit(id)
	n.remove(id)
}

func TestDetachKeysLeaveTheContainerRunning(t *testing.T) {
	n := newNode(t)
	spec := sh("while read a; do echo got $a; done")
	spec.Tty, spec.OpenStdin = true, true
	id := n.create(spec)
	n.start(id, spec)
	s := n.attach(id, runtime.AttachOptions{Stdin: true, Stdout: true, DetachKeys: "ctrl-x,y"})
	io.WriteString(s, "one\n")
	var seen strings.Builder
	for buf := make([]byte, 1); !strings.Contains(seen.String(), "got one"); {
		if _, err := s.Read(buf); err != nil {
			t.Fatalf("%v after %q", err, seen.String())
		}
		seen.Write(buf)
	}
	io.WriteString(s, "\x18z\n\x18y")
	n.read(s, true) // to its end
	list, err := n.Running(n.ctx)
	if err != nil || len(list) != 1 || list[0].ID != id {
		t.Fatalf("runs: %v, %v", list, err)
	}
}

func TestTwoClientsSeeTheSame(t *testing.T) {
	n := newNode(t)
	spec := sh("seq 1 20000")
	id := n.create(spec)
	o := runtime.AttachOptions{Stdout: true}
	a, b := n.attach(id, o), n.attach(id, o)
	n.start(id, spec)
	done := make(chan string)
	go func() { out, _ := n.read(a, false); done <- out }()
	outB, _ := n.read(b, false)
	if outA := <-done; outA != outB || strings.Count(outA, "\n") != 20000 {
		t.Fatalf("%d and %d bytes", len(outA), len(outB))
	}
	n.waitExit(id)
	n.remove(id)
}

func TestUnknownCommandsSayWhatDockerSays(t *testing.T) {
	n := newNode(t)
	directory := "is a directory"
	if strings.HasPrefix(n.Info().Runtime, "runc 1.1") {
		directory = "permission denied" // as Docker says with it
	}
	for command, want := range map[string]string{
		"nosuch": `executable file not found in $PATH`, "/bin/nosuch": "no such file or directory", "/etc/passwd": "permission denied",
		"/etc": directory,
	} {
		spec := &model.ContainerSpec{Entrypoint: []string{command}}
		id := n.create(spec)
		_, err := n.startErr(id, spec)
		if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), want) {
			t.Errorf("%s: %v", command, err)
		}
		n.remove(id)
	}
}

// A directory, such as a volume, cannot be mounted on a file of the image, nor a
// file on a directory.
func TestMountsOfTheWrongSortSayWhatDockerSays(t *testing.T) {
	n := newNode(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for target, source := range map[string]string{"/etc/passwd": dir, "/etc": file} {
		spec := sh("true")
		spec.Mounts = []model.Mount{{Type: model.MountBind, Source: source, Target: target}}
		id := n.create(spec)
		_, err := n.startErr(id, spec)
		text := model.UserText(err)
		if !model.IsKind(err, model.KindInvalid) || strings.Contains(text, dir) ||
			!strings.Contains(text, fmt.Sprintf("at %q: not a directory: Are you trying to mount a directory onto a file", target)) {
			t.Errorf("%s: %v", target, err)
		}
		n.remove(id)
	}
}

func TestSeccompAndCapabilities(t *testing.T) {
	n := newNode(t)
	script := "grep -E '^(Seccomp|CapEff|CapBnd|NoNewPrivs):' /proc/self/status"
	_, first, errOut := n.run(sh(script))
	if !strings.Contains(first, "Seccomp:\t2\n") || !strings.Contains(first, "CapEff:\t00000000a00425fb") {
		t.Fatalf("status: %s%s", first, errOut)
	}
	spec := sh(script)
	spec.CapDrop, spec.CapAdd, spec.NoNewPrivileges = []string{"ALL"}, []string{"CHOWN"}, true
	_, out, _ := n.run(spec)
	if !strings.Contains(out, "CapBnd:\t0000000000000001\n") || !strings.Contains(out, "NoNewPrivs:\t1") || !strings.Contains(out, "Seccomp:\t2\n") {
		t.Fatalf("status: %s", out)
	}
	spec = sh(script)
	spec.Seccomp = "unconfined"
	if _, out, _ = n.run(spec); !strings.Contains(out, "Seccomp:\t0\n") {
		t.Fatalf("status: %s", out)
	}
}

func TestUserAndWorkingDirectory(t *testing.T) {
	n := newNode(t)
	for user, want := range map[string]string{
		"": "0 0 0 /root", "ada": "1001 1002 10 1002 /home/ada", "1001:5": "1001 5 5 /home/ada", "77": "77 0 0 /", "ada:wheel": "1001 10 10 /home/ada",
	} {
		spec := sh("echo $(id -u) $(id -g) $(id -G) $HOME; pwd; echo x > /dev/stderr")
		spec.User, spec.WorkingDir = user, "/made/for/it"
		e, out, errOut := n.run(spec)
		got := strings.Fields(strings.Split(out, "\n")[0])
		if e.ExitCode != 0 || !strings.HasSuffix(out, "/made/for/it\n") || errOut != "x\n" || !sameWords(got, strings.Fields(want)) {
			t.Errorf("%q: %+v %q %q", user, e, out, errOut)
		}
	}
	for _, user := range []string{"nobody-here", "2147483647", "-1", "4294967296", "0:nogroup"} {
		spec := sh("true")
		spec.User = user
		id := n.create(spec)
		if _, err := n.startErr(id, spec); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("user %q: %v", user, err)
		}
	}
	grouped := sh("id -G")
	grouped.User, grouped.GroupAdd = "0:5", []string{"wheel", "900"}
	if _, out, _ := n.run(grouped); out != "5 10 900\n" {
		t.Errorf("with groups added: %q", out)
	}
	grouped.GroupAdd = []string{"nogroup"}
	if _, err := n.startErr(n.create(grouped), grouped); !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "unable to find group nogroup") {
		t.Errorf("an unknown group: %v", err)
	}
	spec := sh("true")
	spec.WorkingDir = "/proc/self/fd/7"
	id := n.create(spec)
	if _, err := n.startErr(id, spec); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("working directory in /proc: %v", err)
	}
}

// sameWords compares the ids and the home; of the groups only that each is there.
func sameWords(got, want []string) bool {
	all := strings.Join(got, " ") + " "
	for _, w := range want {
		if !strings.Contains(" "+all, " "+w+" ") {
			return false
		}
	}
	return len(got) > 2 && got[0] == want[0] && got[1] == want[1]
}

func TestMemoryLimitKills(t *testing.T) {
	n := newNode(t)
	spec := sh("x=0123456789abcdef; while :; do x=$x$x; done")
	spec.Limits.Memory = 16 << 20
	spec.Limits.Pids = 20
	e, _, _ := n.run(spec)
	if e.ExitCode != 137 || !e.OOMKilled {
		t.Fatalf("got %+v", e)
	}
}

func TestProcessLimit(t *testing.T) {
	n := newNode(t)
	spec := sh("for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo all")
	spec.Limits.Pids = 5
	if _, out, errOut := n.run(spec); strings.Contains(out, "all") || !strings.Contains(errOut, "fork") {
		t.Fatalf("%q %q", out, errOut)
	}
}

func TestNoStatusIsLost(t *testing.T) {
	n := newNode(t)
	work := make(chan int)
	done := make(chan bool)
	for range 4 {
		go func() {
			for i := range work {
				spec := &model.ContainerSpec{Entrypoint: []string{"/bin/sh", "-c", fmt.Sprintf("exit %d", i%256)}}
				if e, _, _ := n.run(spec); e.ExitCode != i%256 || e.Unknown {
					n.Errorf("run %d was told as %+v", i, e)
				}
			}
			done <- true
		}()
	}
	for i := range 256 {
		work <- i
	}
	close(work)
	for range 4 {
		<-done
	}
}

package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a docker command on a pseudo-terminal, with all that it printed.
type terminal struct {
	file *os.File
	wait func() error
	mu   sync.Mutex
	text strings.Builder // guarded by mu
	done chan struct{}
}

func (b *bed) terminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	command := b.command(t, args...)
	file, err := pty.StartWithSize(command, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	screen := &terminal{file: file, wait: command.Wait, done: make(chan struct{})}
	go func() {
		defer close(screen.done)
		buffer := make([]byte, 4096)
		for {
			n, err := file.Read(buffer)
			screen.mu.Lock()
			screen.text.Write(buffer[:n])
			screen.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		file.Close()
		<-screen.done
	})
	return screen
}

func (s *terminal) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// expect waits until the text is on the screen.
func (s *terminal) expect(t *testing.T, text string) {
	t.Helper()
	eventually(t, func() error {
		if shown := s.shown(); !strings.Contains(shown, text) {
			return fmt.Errorf("the terminal lacks %q: %q", text, shown)
		}
		return nil
	})
}

func (s *terminal) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.file, text); err != nil {
		t.Fatal(err)
	}
}

func (s *terminal) resize(t *testing.T, rows, cols uint16) {
	t.Helper()
	if err := pty.Setsize(s.file, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		t.Fatal(err)
	}
}

// follows waits for a size that the container's terminal takes.
func (s *terminal) follows(t *testing.T, size string) {
	t.Helper()
	eventually(t, func() error {
		before := strings.Count(s.shown(), "size="+size)
		s.send(t, "echo size=$(stty size)\n")
		return poll(t.Context(), time.Second, func() error {
			if strings.Count(s.shown(), "size="+size) == before {
				return fmt.Errorf("the terminal is not %s: %q", size, s.shown())
			}
			return nil
		})
	})
}

func TestTerminalOfRun(t *testing.T) {
	b := sharedBed(t)
	screen := b.terminal(t, "run", "-it", "--rm", b.image, "sh")
	screen.follows(t, "24 80")
	screen.resize(t, 50, 133)
	screen.follows(t, "50 133")
	screen.send(t, "exit 7\n")
	if err := screen.wait(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("docker run ended with %v, want exit status 7", err)
	}
}

func TestTerminalOfExec(t *testing.T) {
	b := sharedBed(t)
	id := b.run(t, b.image, "sleep", "1000")
	screen := b.terminal(t, "exec", "-it", id, "sh")
	screen.follows(t, "24 80")
	screen.resize(t, 30, 100)
	screen.follows(t, "30 100")
	screen.send(t, "exit 9\n")
	if err := screen.wait(); err == nil || err.Error() != "exit status 9" {
		t.Errorf("docker exec ended with %v, want exit status 9", err)
	}
}

func TestDetachKeysLeaveTheContainerRunning(t *testing.T) {
	b := sharedBed(t)
	screen := b.terminal(t, "run", "-it", "--name", "detached", b.image, "sh")
	t.Cleanup(func() { b.remove(t, "detached") })
	screen.follows(t, "24 80")
	screen.send(t, "\x10\x11") // ctrl-p ctrl-q
	if err := screen.wait(); err != nil {
		t.Errorf("docker run ended with %v after detaching", err)
	}
	if state := b.inspect(t, "detached", "{{.State.Running}}"); state != "true" {
		t.Error("the container ended when its terminal was left")
	}
	again := b.terminal(t, "attach", "detached")
	again.send(t, "echo back-$((1+1))\n")
	again.expect(t, "back-2")
}

func TestLogs(t *testing.T) {
	b := sharedBed(t)
	id := b.run(t, b.image, "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done; echo bad >&2; sleep 1000")
	b.logged(t, id, "bad")
	if out := b.docker(t, "logs", "--tail", "2", id); out != "line 5" && !strings.HasSuffix(out, "line 5") {
		t.Errorf("logs --tail 2: %q", out)
	}
	done := b.try(t, "logs", id)
	if done.stdout != "line 1\nline 2\nline 3\nline 4\nline 5\n" || done.stderr != "bad\n" {
		t.Errorf("logs: stdout %q, stderr %q", done.stdout, done.stderr)
	}
	third := timeOfLine(t, b, id, "line 3")
	if out := b.docker(t, "logs", "--since", third, id); strings.Contains(out, "line 2") || !strings.Contains(out, "line 3") {
		t.Errorf("logs --since the third line: %q", out)
	}
	if out := b.docker(t, "logs", "--until", third, id); !strings.Contains(out, "line 2") || strings.Contains(out, "line 4") {
		t.Errorf("logs --until the third line: %q", out)
	}
}

// timeOfLine is the time stamp of a line of a log.
func timeOfLine(t *testing.T, b *bed, id, line string) string {
	t.Helper()
	for stamped := range strings.Lines(b.docker(t, "logs", "--timestamps", id)) {
		if stamp, text, _ := strings.Cut(strings.TrimSpace(stamped), " "); text == line {
			return stamp
		}
	}
	t.Fatalf("the log has no line %q", line)
	return ""
}

func TestLogsFollow(t *testing.T) {
	b := sharedBed(t)
	id := b.run(t, "-i", b.image, "sh", "-c", "echo early; read x; echo late; exit 0")
	follow := b.command(t, "logs", "-f", id)
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "early" {
		t.Fatalf("the followed log begins with %q", lines.Text())
	}
	attach := b.command(t, "attach", id)
	attach.Stdin = strings.NewReader("\n")
	if out, err := attach.CombinedOutput(); err != nil {
		t.Fatalf("docker attach: %v: %s", err, out)
	}
	if !lines.Scan() || lines.Text() != "late" {
		t.Errorf("the followed log goes on with %q", lines.Text())
	}
	if lines.Scan() {
		t.Errorf("the followed log has another line: %q", lines.Text())
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("docker logs -f ended with %v when the container had ended", err)
	}
}

func TestEvents(t *testing.T) {
	b := sharedBed(t)
	since := fmt.Sprint(time.Now().Add(-time.Second).Unix())
	id := b.run(t, "--name", "eventful", b.image, "sh", "-c", "exit 4")
	b.docker(t, "wait", id)
	b.docker(t, "rm", id)
	out := b.docker(t, "events", "--since", since, "--until", fmt.Sprint(time.Now().Add(time.Second).Unix()), "--filter", "container="+id,
		"--format", "{{.Action}} {{index .Actor.Attributes \"name\"}} {{index .Actor.Attributes \"exitCode\"}}")
	var actions []string
	for line := range strings.Lines(out) {
		actions = append(actions, strings.TrimSpace(line))
	}
	for _, want := range []string{"create eventful", "start eventful", "die eventful 4", "destroy eventful"} {
		if !strings.Contains(strings.Join(actions, "\n"), want) {
			t.Errorf("docker events lacks %q: %q", want, actions)
		}
	}
}

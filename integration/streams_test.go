package integration

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

func TestTerminalOfRun(t *testing.T) {
	b := sharedBed(t)
	screen := b.Terminal(t, "run", "-it", "--rm", b.Image, "sh")
	screen.Follows(t, "24 80")
	screen.Resize(t, 50, 133)
	screen.Follows(t, "50 133")
	screen.Send(t, "exit 7\n")
	if err := screen.Wait(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("docker run ended with %v, want exit status 7", err)
	}
}

func TestTerminalOfExec(t *testing.T) {
	b := sharedBed(t)
	id := b.Run(t, b.Image, "sleep", "1000")
	screen := b.Terminal(t, "exec", "-it", id, "sh")
	screen.Follows(t, "24 80")
	screen.Resize(t, 30, 100)
	screen.Follows(t, "30 100")
	screen.Send(t, "exit 9\n")
	if err := screen.Wait(); err == nil || err.Error() != "exit status 9" {
		t.Errorf("docker exec ended with %v, want exit status 9", err)
	}
}

func TestDetachKeysLeaveTheContainerRunning(t *testing.T) {
	b := sharedBed(t)
	screen := b.Terminal(t, "run", "-it", "--name", "detached", b.Image, "sh")
	t.Cleanup(func() { b.Remove(t, "detached") })
	screen.Follows(t, "24 80")
	screen.Send(t, "\x10\x11") // ctrl-p ctrl-q
	if err := screen.Wait(); err != nil {
		t.Errorf("docker run ended with %v after detaching", err)
	}
	if state := b.Inspect(t, "detached", "{{.State.Running}}"); state != "true" {
		t.Error("the container ended when its terminal was left")
	}
	again := b.Terminal(t, "attach", "detached")
	again.Send(t, "echo back-$((1+1))\n")
	again.Expect(t, "back-2")
}

func TestLogs(t *testing.T) {
	b := sharedBed(t)
	id := b.Run(t, b.Image, "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done; echo bad >&2; sleep 1000")
	b.Logged(t, id, "bad")
	if out := b.Docker(t, "logs", "--tail", "2", id); out != "line 5" && !strings.HasSuffix(out, "line 5") {
		t.Errorf("logs --tail 2: %q", out)
	}
	done := b.Try(t, "logs", id)
	if done.Stdout != "line 1\nline 2\nline 3\nline 4\nline 5\n" || done.Stderr != "bad\n" {
		t.Errorf("logs: stdout %q, stderr %q", done.Stdout, done.Stderr)
	}
	third := timeOfLine(t, b, id, "line 3")
	if out := b.Docker(t, "logs", "--since", third, id); strings.Contains(out, "line 2") || !strings.Contains(out, "line 3") {
		t.Errorf("logs --since the third line: %q", out)
	}
	if out := b.Docker(t, "logs", "--until", third, id); !strings.Contains(out, "line 2") || strings.Contains(out, "line 4") {
		t.Errorf("logs --until the third line: %q", out)
	}
}

// timeOfLine is the time stamp of a line of a log.
func timeOfLine(t *testing.T, b *bed.Bed, id, line string) string {
	t.Helper()
	for stamped := range strings.Lines(b.Docker(t, "logs", "--timestamps", id)) {
		if stamp, text, _ := strings.Cut(strings.TrimSpace(stamped), " "); text == line {
			return stamp
		}
	}
	t.Fatalf("the log has no line %q", line)
	return ""
}

func TestLogsFollow(t *testing.T) {
	b := sharedBed(t)
	id := b.Run(t, "-i", b.Image, "sh", "-c", "echo early; read x; echo late; exit 0")
	follow := b.Command(t, "logs", "-f", id)
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
	attach := b.Command(t, "attach", id)
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
	id := b.Run(t, "--name", "eventful", b.Image, "sh", "-c", "exit 4")
	b.Docker(t, "wait", id)
	b.Docker(t, "rm", id)
	out := b.Docker(t, "events", "--since", since, "--until", fmt.Sprint(time.Now().Add(time.Second).Unix()), "--filter", "container="+id,
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

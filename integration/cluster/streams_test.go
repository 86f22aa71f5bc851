package cluster

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// session is a docker command that stays, with its standard streams.
type session struct {
	command *exec.Cmd
	in      io.WriteCloser
	lines   chan string
}

func open(t *testing.T, b *bed.Bed, args ...string) *session {
	t.Helper()
	s := &session{command: b.Command(t, args...), lines: make(chan string, 1024)}
	var err error
	if s.in, err = s.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(s.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = s.command.Process.Kill() // it may have ended
		<-read
		_ = s.command.Wait() // killed, or ended before
	})
	return s
}

// says types a line and waits for what the session answers with.
func (s *session) says(t *testing.T, line, want string) {
	t.Helper()
	if _, err := fmt.Fprintln(s.in, line); err != nil {
		t.Fatalf("the session has ended: %v", err)
	}
	limit := time.After(bed.Patience)
	for {
		select {
		case got, open := <-s.lines:
			if !open {
				t.Fatalf("the session has ended before it said %q", want)
			}
			if strings.Contains(got, want) {
				return
			}
		case <-limit:
			t.Fatalf("the session does not say %q", want)
		}
	}
}

// TestP8SessionsOutliveTheLeader has attach, exec and logs sessions through a head that does
// not lead go on while the leader dies, and a wait through it answer what is true.
func TestP8SessionsOutliveTheLeader(t *testing.T) {
	b := whole(t)
	leader := b.Leader(t)
	through := b.Through(t, others(leader)[0])
	id := through.Run(t, "-i", b.Image, "sh", "-c", "while read line; do echo heard $line; done")
	attached := open(t, through, "attach", id)
	inside := open(t, through, "exec", "-i", id, "cat")
	followed := open(t, through, "logs", "-f", id)
	waited := open(t, through, "wait", id)
	attached.says(t, "one", "heard one")
	inside.says(t, "two", "two")

	fault(t, b, "kill", leader)
	attached.says(t, "three", "heard three")
	inside.says(t, "four", "four")
	fault(t, b, "start", leader)
	attached.says(t, "five", "heard five")
	inside.says(t, "six", "six")
	for _, want := range []string{"heard one", "heard three", "heard five"} {
		select {
		case got := <-followed.lines:
			if got != want {
				t.Errorf("docker logs -f says %q, want %q", got, want)
			}
		case <-time.After(bed.Patience):
			t.Fatalf("docker logs -f does not say %q", want)
		}
	}
	through.Docker(t, "kill", id)
	select {
	case code := <-waited.lines:
		if code != "137" {
			t.Errorf("docker wait answers %q", code)
		}
	case <-time.After(bed.Patience):
		t.Error("docker wait does not answer")
	}
}

// TestEventsAreTheSameThroughEveryHead listens through all heads while the leader dies: those
// who stay connected hear the same story in the same order.
func TestEventsAreTheSameThroughEveryHead(t *testing.T) {
	b := whole(t)
	leader := b.Leader(t)
	var told []*session
	since := strconv.FormatInt(time.Now().Unix(), 10) // a client may be slow to begin
	for _, head := range others(leader) {
		told = append(told, open(t, b.Through(t, head), "events", "--since", since, "--filter", "type=container", "--filter", "label=told=yes", "--format", "{{.Action}} {{.Actor.Attributes.name}}"))
	}
	through := b.Through(t, others(leader)[0])
	run := func(name string) { through.Docker(t, "run", "--rm", "--name", name, "-l", "told=yes", b.Image, "true") }
	run("before")
	fault(t, b, "kill", leader)
	bed.Eventually(t, func() error {
		if done := through.Try(t, "run", "--rm", "-l", "told=no", b.Image, "true"); done.Code != 0 {
			return fmt.Errorf("docker run: %s", done.Stderr)
		}
		return nil
	})
	run("after")
	var stories [2][]string
	for i, s := range told {
		for len(stories[i]) == 0 || stories[i][len(stories[i])-1] != "destroy after" {
			select {
			case line, open := <-s.lines:
				if !open {
					t.Fatalf("docker events ended: %q", stories[i])
				}
				stories[i] = append(stories[i], line)
			case <-time.After(bed.Patience):
				t.Fatalf("docker events has told %q only", stories[i])
			}
		}
	}
	if a, z := strings.Join(stories[0], "\n"), strings.Join(stories[1], "\n"); a != z {
		t.Errorf("one head tells:\n%s\nanother:\n%s", a, z)
	}
	if want := []string{"create before", "start before", "die before", "destroy before", "create after", "start after", "die after"}; !contains(stories[0], want) {
		t.Errorf("the story %q lacks some of %q", stories[0], want)
	}
}

// contains reports whether a story has all the parts in their order.
func contains(story, parts []string) bool {
	for _, line := range story {
		if len(parts) > 0 && line == parts[0] {
			parts = parts[1:]
		}
	}
	return len(parts) == 0
}

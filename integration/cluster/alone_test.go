package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestP8ContainersNeedNoHeads takes all heads away, and then also the node's agent: containers
// find each other by name and speak, and with the agent back, but no head, they are started
// again by their policy. Nothing of what they said meanwhile is lost.
func TestP8ContainersNeedNoHeads(t *testing.T) {
	b := whole(t)
	b.Docker(t, "network", "create", "alone")
	defer func() {
		b.Try(t, "rm", "-f", "alone-server", "alone-client", "alone-restarted")
		b.Try(t, "network", "rm", "alone")
	}()
	server := b.Run(t, "--name", "alone-server", "--network", "alone", b.Image, "sh", "-c",
		"mkdir /www; echo here > /www/index.html; exec httpd -f -p 80 -h /www")
	node := nodeOf(t, b, server)
	beside := "affinity:container==alone-server"
	client := b.Run(t, "--name", "alone-client", "--network", "alone", "-e", beside, b.Image, "sh", "-c",
		"n=0; while :; do timeout 9 wget -q -O /dev/null http://alone-server/ && n=$((n+1)) && echo $n > /answers && echo answer $n; sleep 0.2; done")
	b.Run(t, "--name", "alone-restarted", "--restart", "always", "-e", beside, b.Image, "sh", "-c", "sleep 1; exit 3", "restarts-alone")
	for _, name := range []string{"alone-client", "alone-restarted"} {
		if on := nodeOf(t, b, name); on != node {
			t.Fatalf("%s is on %s, not on %s", name, on, node)
		}
	}
	b.Logged(t, client, "answer 2\n")
	pid := b.Inspect(t, client, "{{.State.Pid}}")
	for _, head := range heads {
		fault(t, b, "kill", head)
	}
	answers := answered(t, pid)
	bed.Eventually(t, func() error { return more(answered(t, pid), answers+3, "answers without heads") })
	fault(t, b, "kill", node)
	answers = answered(t, pid)
	bed.Eventually(t, func() error { return more(answered(t, pid), answers+3, "answers without heads and agent") })
	fault(t, b, "start", node)
	runs := map[string]bool{}
	bed.Eventually(t, func() error {
		if process := processOf("restarts-alone"); process != "" {
			runs[process] = true
		}
		return more(len(runs), 3, "processes of the container that is restarted")
	})
	for _, head := range heads {
		fault(t, b, "start", head)
	}
	awaitWhole(t, b)
	answers = answered(t, pid)
	lines := strings.Split(b.Docker(t, "logs", client), "\n")
	for i, line := range lines {
		if line != fmt.Sprintf("answer %d", i+1) {
			t.Fatalf("line %d of the log is %q", i+1, line)
		}
	}
	if len(lines) < answers-1 { // the latest may be about to be said
		t.Errorf("the log has %d lines of %d", len(lines), answers)
	}
}

// answered is how many answers the client has had, as its own files say: nobody can be asked.
func answered(t *testing.T, pid string) (n int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", pid, "root", "answers"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Sscan(string(text), &n) // it is being written
	return n
}

func more(got, want int, what string) error {
	if got < want {
		return fmt.Errorf("%d %s, want %d", got, what, want)
	}
	return nil
}

// processOf is the id of a process whose last argument is the given one, or "".
func processOf(argument string) string {
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is a good one
	for _, folder := range folders {
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		if strings.HasPrefix(string(line), "sh\x00") && strings.HasSuffix(string(line), "\x00"+argument+"\x00") {
			return filepath.Base(folder)
		}
	}
	return ""
}

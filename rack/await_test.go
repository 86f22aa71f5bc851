package rack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// loggedRack is a rack without daemons whose hosts have a log.
func loggedRack(t *testing.T) *Rack {
	t.Helper()
	r := &Rack{layout: layout{dir: t.TempDir()}, rec: record{Heads: 1, Nodes: 1}}
	if err := os.Mkdir(filepath.Join(r.dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, h := range r.hosts() {
		text := strings.Repeat("an early line\n", 1000) + "cannot open the storage of " + h.name + "\n"
		if err := os.WriteFile(r.logFile(h), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func never(context.Context) (bool, error) { return false, nil }

func TestADaemonThatEndsIsToldAtOnce(t *testing.T) {
	t.Parallel()
	r := loggedRack(t)
	start := time.Now()
	err := r.await(t.Context(), "do it", never, r.hosts)
	for _, want := range []string{"cannot do it: head-1 ended at its start", "cannot open the storage of head-1", r.logFile(r.hosts()[0])} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it lacks %q: %v", want, err)
		}
	}
	if since := time.Since(start); since > stepDeadline/2 {
		t.Errorf("it took %s", since)
	}
}

func TestWhoDoesNotComeIsToldWithItsLog(t *testing.T) {
	t.Parallel()
	r := loggedRack(t)
	for _, h := range r.hosts() {
		standIn(t, r, h)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	node := r.hosts()[1]
	err := r.await(ctx, "connect the nodes", never, func() []host { return []host{node} })
	for _, want := range []string{"cannot connect the nodes in time", "cannot open the storage of node-1", r.logFile(node)} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it lacks %q: %v", want, err)
		}
	}
	if err != nil && (strings.Contains(err.Error(), "head-1") || strings.Count(err.Error(), "\n") > shownLines+2) {
		t.Errorf("it says too much: %v", err)
	}
}

// standIn is a process that is called as a host's daemon is, and waits.
func standIn(t *testing.T, r *Rack, h host) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, string(h.daemon())), []byte("read x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", string(h.daemon()), "run", "--config", r.config(h))
	cmd.Dir = dir
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		cmd.Wait()
	})
}

package runtime_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

func TestProbe(t *testing.T) {
	n := newNode(t)
	spec := sh("while :; do sleep 1; done")
	spec.Env, spec.User, spec.WorkingDir = []string{"COLOUR=blue"}, "ada", "/tmp"
	id := n.create(spec)
	n.start(id, spec)
	probe := func(script string) (int, string) {
		t.Helper()
		code, out, err := n.Probe(n.ctx, id, []string{"sh", "-c", script})
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return code, string(out)
	}
	if code, out := probe("echo $COLOUR $(id -u) $(pwd); echo e >&2; exit 3"); code != 3 || !strings.Contains(out, "blue 1001 /tmp\n") || !strings.Contains(out, "e\n") {
		t.Errorf("%d %q", code, out)
	}
	if code, out := probe("seq 1 100000"); code != 0 || len(out) != 4096 || !strings.HasPrefix(out, "1\n2\n3\n") {
		t.Errorf("much output: %d, %d bytes", code, len(out))
	}
	if code, out := probe("sleep 1000 & echo left one"); code != 0 || out != "left one\n" {
		t.Errorf("with a child that stays: %d %q", code, out)
	}
	_, _, err := n.Probe(n.ctx, id, []string{"nosuch"})
	if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), `OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH`) {
		t.Errorf("unknown command: %v", err)
	}
	if left, _ := filepath.Glob(n.cfg.RunDir + "/units/probe-*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	idle := n.create(spec)
	_, _, err = n.Probe(n.ctx, idle, []string{"true"})
	n.wantConflict(err, "is not running")
}

// commands lists what runs in a container.
func (n *node) commands(id string) string {
	n.Helper()
	_, rows, err := n.Top(n.ctx, id, "")
	if err != nil {
		n.Fatal(err)
	}
	var out []string
	for _, row := range rows {
		out = append(out, row[7])
	}
	return strings.Join(out, "\n")
}

// A probe that begins a process with its parent gone, one in the background,
// and then does not end.
const stubborn = "trap '' TERM; (sleep 1111 &); sleep 2222 & while :; do sleep 3333; done"

func TestLateProbeIsKilledWithItsChildren(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 4444 & wait")
	id := n.create(spec)
	n.start(id, spec)
	ctx, cancel := context.WithCancelCause(n.ctx)
	go func() {
		deadline := time.Now().Add(20 * time.Second)
		for !strings.Contains(n.commands(id), "3333") && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(errors.New("late"))
	}()
	if code, _, err := n.Probe(ctx, id, []string{"sh", "-c", stubborn}); !errors.Is(err, context.Canceled) || code != -1 {
		t.Errorf("got %d %v", code, err)
	}
	n.eventually("only the container's own to be left", func() bool { return !strings.ContainsAny(n.commands(id), "123") })
	if !strings.Contains(n.commands(id), "4444") {
		t.Errorf("the container's own are gone: %s", n.commands(id))
	}
	n.eventually("the probe to be forgotten", func() bool {
		left, _ := filepath.Glob(n.cfg.RunDir + "/units/probe-*")
		return len(left) == 0
	})
}

var recordedPid = regexp.MustCompile(`"pid": ?[1-9]`)

func TestProbeEndsWithItsSupervisor(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 4444 & wait")
	id := n.create(spec)
	n.start(id, spec)
	ctx, cancel := context.WithCancel(n.ctx)
	done := make(chan error)
	go func() {
		_, _, err := n.Probe(ctx, id, []string{"sh", "-c", stubborn})
		done <- err
	}()
	n.eventually("the probe to run", func() bool { return strings.Contains(n.commands(id), "3333") })
	// Before that a probe is one whose start was interrupted; see DESIGN.md.
	n.eventually("the probe to be recorded", func() bool {
		records, _ := filepath.Glob(n.cfg.RunDir + "/units/probe-*/run.json")
		for _, record := range records {
			if text, _ := os.ReadFile(record); recordedPid.Match(text) {
				return true
			}
		}
		return false
	})
	n.killIod()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	n.eventually("the probe's end", func() bool { return !strings.ContainsAny(n.commands(id), "123") })
	n.eventually("the probe to be forgotten", func() bool {
		left, _ := filepath.Glob(n.cfg.RunDir + "/units/probe-*")
		return len(left) == 0
	})
	if code, _, err := n.Probe(n.ctx, id, []string{"true"}); err != nil || code != 0 {
		t.Errorf("after that: %d %v", code, err)
	}
}

func TestExecWait(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 1000")
	id := n.create(spec)
	n.start(id, spec)
	exec := model.NewID()
	if _, err := n.ExecWait(n.ctx, exec); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("an unknown one: %v", err)
	}
	if _, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: exec, Detach: true, Args: []string{"sh", "-c", "sleep 0.3; exit 12"}}); err != nil {
		t.Fatal(err)
	}
	n.killIod()
	if st, err := n.ExecWait(n.ctx, exec); err != nil || st.Running || st.ExitCode == nil || *st.ExitCode != 12 {
		t.Errorf("got %+v, %v", st, err)
	}
	ctx, cancel := context.WithCancel(n.ctx)
	cancel()
	if _, err := n.ExecWait(ctx, exec); err == nil {
		t.Error("it waits although its context has ended")
	}
}

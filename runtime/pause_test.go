package runtime_test

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

func (n *node) cpuTime(id string) uint64 {
	n.Helper()
	s, err := n.Stats(n.ctx, id)
	if err != nil {
		n.Fatal(err)
	}
	return s.CPU.Total
}

// wantConflict checks for an error in Docker's words.
func (n *node) wantConflict(err error, words string) {
	n.Helper()
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), words) {
		n.Errorf("want a conflict that says %q, got %v", words, err)
	}
}

func (n *node) pause(id string) {
	n.Helper()
	if err := n.Pause(n.ctx, id); err != nil {
		n.Fatal(err)
	}
	if paused, err := n.Paused(n.ctx, id); err != nil || !paused {
		n.Errorf("after pause: %v %v", paused, err)
	}
}

func (n *node) unpause(id string) {
	n.Helper()
	if err := n.Unpause(n.ctx, id); err != nil {
		n.Fatal(err)
	}
	if paused, err := n.Paused(n.ctx, id); err != nil || paused {
		n.Errorf("after unpause: %v %v", paused, err)
	}
}

func TestPauseHoldsAllProcessesBack(t *testing.T) {
	n := newNode(t)
	spec := sh("(while :; do :; done) & while :; do :; done")
	id := n.create(spec)
	n.wantConflict(n.Pause(n.ctx, id), "container "+id+" is not running")
	n.start(id, spec)
	n.wantConflict(n.Unpause(n.ctx, id), "Container "+id+" is not paused")
	n.eventually("both processes", func() bool { return strings.Count(n.commands(id), "/bin/sh") == 2 })
	n.pause(id)
	before := n.cpuTime(id)
	n.wantConflict(n.Pause(n.ctx, id), "Container "+id+" is already paused")
	_, err := n.ExecStart(n.ctx, id, runtime.ExecSpec{ID: model.NewID(), Args: []string{"true"}, Detach: true})
	n.wantConflict(err, "Container "+id+" is paused, unpause the container before exec")
	_, _, err = n.Probe(n.ctx, id, []string{"true"})
	n.wantConflict(err, "is paused")
	if _, rows, err := n.Top(n.ctx, id, ""); err != nil || len(rows) != 2 {
		t.Errorf("top: %v %v", rows, err)
	}
	if after := n.cpuTime(id); after != before {
		t.Errorf("it used %d ns while it was paused", after-before)
	}
	n.unpause(id)
	n.eventually("it to work again", func() bool { return n.cpuTime(id) > before })
	n.Signal(n.ctx, id, unix.SIGKILL)
	n.waitExit(id)
	n.remove(id)
	n.wantNothingLeft()
}

func TestPausedContainerCanBeKilled(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 1000 & sleep 1000")
	id := n.create(spec)
	n.start(id, spec)
	n.pause(id)
	if err := n.Signal(n.ctx, id, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := n.waitExit(id); e.ExitCode != 137 {
		t.Errorf("got %+v", e)
	}
	if paused, err := n.Paused(n.ctx, id); err != nil || paused {
		t.Errorf("after the end: %v %v", paused, err)
	}
	n.remove(id)
	n.wantNothingLeft()
	n.start2(id, spec)
}

// start2 registers and runs a container again, and ends it.
func (n *node) start2(id string, spec *model.ContainerSpec) {
	n.Helper()
	if err := n.Register(n.ctx, id, spec); err != nil {
		n.Fatal(err)
	}
	n.start(id, spec)
	if paused, err := n.Paused(n.ctx, id); err != nil || paused {
		n.Errorf("in the next run: %v %v", paused, err)
	}
	n.Signal(n.ctx, id, unix.SIGKILL)
	n.waitExit(id)
	n.remove(id)
}

func TestSignalReachesAPausedContainerWhenItGoesOn(t *testing.T) {
	n := newNode(t)
	spec := sh("trap 'exit 5' TERM; echo ready; while :; do usleep 1000; done")
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdout: true})
	defer s.Close()
	n.start(id, spec)
	if _, err := s.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	n.pause(id)
	if err := n.Signal(n.ctx, id, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n.unpause(id)
	if e := n.waitExit(id); e.ExitCode != 5 {
		t.Errorf("got %+v", e)
	}
	n.remove(id)
}

func TestPauseSurvivesSupervisorAndAgent(t *testing.T) {
	n := newNode(t)
	spec := sh("read a; exit $a")
	spec.OpenStdin = true
	id := n.create(spec)
	n.start(id, spec)
	n.pause(id)
	n.killIod()
	n.wantConflict(n.Pause(n.ctx, id), "already paused")
	n.cancel()
	n.Close()
	n.open()
	n.killIod()
	n.unpause(id)
	s := n.attach(id, runtime.AttachOptions{Stdin: true, Stdout: true})
	defer s.Close()
	if _, err := s.Write([]byte("9\n")); err != nil {
		t.Fatal(err)
	}
	if e := n.waitExit(id); e.ExitCode != 9 || e.Unknown {
		t.Errorf("got %+v", e)
	}
	n.remove(id)
	n.wantNothingLeft()
}

package runtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// armNext replaces the supervisor by one that is killed at a point. The one
// after that is not.
func (n *node) armNext(point string) {
	n.Helper()
	os.Setenv(failpoint.Variable, point+"=kill")
	n.killIod()
	os.Setenv(failpoint.Variable, "")
}

// count returns how many of a container's processes have a word in their command.
func (n *node) count(id, word string) int {
	n.Helper()
	return strings.Count(n.commands(id), word)
}

// running returns how many of a container's processes are exactly that command.
func (n *node) running(id, command string) (count int) {
	n.Helper()
	for line := range strings.SplitSeq(n.commands(id), "\n") {
		if line == command {
			count++
		}
	}
	return count
}

// killed ends a container by a signal, which a process that nobody reaps would
// hold up.
func (n *node) killed(id string) {
	n.Helper()
	if err := n.Signal(n.ctx, id, unix.SIGKILL); err != nil {
		n.Fatal(err)
	}
	if e := n.waitExit(id); e.ExitCode != 137 || e.Unknown {
		n.Errorf("got %+v", e)
	}
	n.eventually("probes to be forgotten", func() bool {
		left, _ := filepath.Glob(n.cfg.RunDir + "/units/probe-*")
		return len(left) == 0
	})
	n.remove(id)
	n.wantNothingLeft()
}

// Points at which a start has begun and is not recorded as done.
var startPoints = []string{"iod/start-recorded", "iod/runtime-begun", "iod/start-created"}

// cutShort runs a container on a node whose supervisor is killed at a point of
// the next start.
func cutShort(t *testing.T, point string) (n *node, id string) {
	t.Helper()
	n = newNode(t)
	spec := sh("sleep 4444 & wait")
	id = n.create(spec)
	n.start(id, spec)
	n.armNext(point)
	return n, id
}

// execRuns starts an exec, which must then run.
func (n *node) execRuns(id string, exec runtime.ExecSpec) {
	n.Helper()
	if _, err := n.ExecStart(n.ctx, id, exec); err != nil {
		n.Fatal(err)
	}
	if st, err := n.ExecState(n.ctx, exec.ID); err != nil || !st.Running {
		n.Fatalf("the exec is %+v: %v", st, err)
	}
}

func TestSupervisorKilledInTheMiddleOfAnExec(t *testing.T) {
	for _, point := range startPoints {
		t.Run(point, func(t *testing.T) {
			n, id := cutShort(t, point)
			exec := model.NewID()
			// It counts how often it runs, in a file of the container's.
			script := `echo once >> /tmp/` + exec + `; until [ -e /tmp/go-` + exec + ` ]; do usleep 5000; done; exit 23`
			n.execRuns(id, runtime.ExecSpec{ID: exec, Detach: true, Args: []string{"sh", "-c", script}})
			n.eventually("the command to run", func() bool { return n.count(id, "once >> /tmp/"+exec) == 1 })
			n.killIod() // it is as well supervised as any other
			if err := os.WriteFile(n.rootfs+"/tmp/go-"+exec, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if st, err := n.ExecWait(n.ctx, exec); err != nil || st.Running || st.ExitCode == nil || *st.ExitCode != 23 {
				t.Errorf("the exec ended as %+v: %v", st, err)
			}
			if ran, err := os.ReadFile(n.rootfs + "/tmp/" + exec); err != nil || string(ran) != "once\n" {
				t.Errorf("it ran: %q, %v", ran, err)
			}
			n.killed(id)
		})
	}
}

// A terminal goes with the supervisor that was to have it; what has begun on it
// goes, too, even when it does not heed that.
func TestSupervisorKilledInTheMiddleOfAnExecWithATerminal(t *testing.T) {
	for _, point := range startPoints {
		t.Run(point, func(t *testing.T) {
			n, id := cutShort(t, point)
			n.execRuns(id, runtime.ExecSpec{ID: model.NewID(), Detach: true, Tty: true, Args: []string{"sh", "-c", "trap '' HUP; while :; do sleep 3333; done"}})
			n.eventually("one such command to run", func() bool { return n.count(id, "trap ''") == 1 && n.count(id, "sleep 3333") >= 1 })
			n.killed(id)
		})
	}
}

func TestSupervisorKilledInTheMiddleOfAProbe(t *testing.T) {
	for _, point := range startPoints {
		t.Run(point, func(t *testing.T) {
			n, id := cutShort(t, point)
			ctx, cancel := context.WithCancel(n.ctx)
			ended := make(chan error, 1)
			go func() {
				_, _, err := n.Probe(ctx, id, []string{"sh", "-c", stubborn})
				ended <- err
			}()
			// It is asked for again, and then there is one of it.
			n.eventually("one probe to run", func() bool { return n.running(id, "sleep 2222") == 1 && n.running(id, "sleep 3333") == 1 })
			cancel()
			<-ended
			n.eventually("the probe's end", func() bool { return !strings.ContainsAny(n.commands(id), "123") })
			n.killed(id)
		})
	}
}

// TestSupervisorKilledAtAnyMoment kills it while commands are being started in a
// container, again and again, wherever it is then.
func TestSupervisorKilledAtAnyMoment(t *testing.T) {
	n := newNode(t)
	spec := sh("sleep 4444 & wait")
	id := n.create(spec)
	n.start(id, spec)
	order := rand.New(rand.NewPCG(3, 4))
	var execs []string
	for round := range 15 {
		exec := runtime.ExecSpec{ID: model.NewID(), Detach: true, Tty: round%3 == 2, Args: []string{"sh", "-c", fmt.Sprintf("trap '' HUP; sleep 1%04d; sleep 5555", round)}}
		execs = append(execs, exec.ID)
		var asked sync.WaitGroup
		asked.Go(func() {
			if _, err := n.ExecStart(n.ctx, id, exec); err != nil {
				t.Logf("round %d: %v", round, err)
			}
		})
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(n.ctx, 60*time.Second)
			defer cancel()
			if _, _, err := n.Probe(ctx, id, []string{"sh", "-c", "sleep 0.01; :"}); err != nil {
				t.Logf("round %d: probe: %v", round, err)
			}
		})
		time.Sleep(time.Duration(order.IntN(25)) * time.Millisecond) // a moment like any other
		n.killIod()
		asked.Wait()
	}
	running := 0
	for _, exec := range execs {
		if st, err := n.ExecState(n.ctx, exec); err == nil && st.Running {
			running++
		}
	}
	if running < len(execs)/2 {
		t.Errorf("%d of %d execs run", running, len(execs))
	}
	// Each that runs is supervised, and the container has no others.
	n.eventually("only what is supervised to run", func() bool { return n.count(id, "trap ''") == running && n.count(id, "sleep 0.01") == 0 })
	n.killed(id)
}

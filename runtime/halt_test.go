package runtime_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/runtime"
)

// When the machine goes down each container ends by its own signal, paused ones too, and who does
// not heed it is killed; what opens the runtime next is told of all ends.
func TestHaltEndsContainersAndTheirEndsAreTold(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const heeds = "trap 'exit 3' TERM; trap 'exit 4' USR1; echo ready; while :; do sleep 0.05; done"
	var ids []string
	for range 3 {
		spec := sh(heeds)
		id := n.create(spec)
		n.start(id, spec)
		ids = append(ids, id)
	}
	deaf := sh("trap '' TERM; echo ready; while :; do sleep 0.05; done")
	ids = append(ids, n.create(deaf))
	n.start(ids[3], deaf)
	for _, id := range ids {
		n.eventually(id+" to be ready", func() bool {
			out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1})
			return strings.Contains(out, "ready")
		})
	}
	n.pause(ids[2])
	n.cancel()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	ended, err := runtime.Halt(n.ctx, n.cfg, func(id string) (syscall.Signal, time.Duration) {
		switch id {
		case ids[1]:
			return unix.SIGUSR1, time.Minute
		case ids[3]:
			return unix.SIGTERM, 100 * time.Millisecond
		}
		return unix.SIGTERM, time.Minute
	})
	if ended != 4 || err != nil {
		t.Errorf("ended %d of 4: %v", ended, err)
	}
	if ended, err := runtime.Halt(n.ctx, n.cfg, nil); ended != 0 || err != nil {
		t.Errorf("where nothing runs, %d ended: %v", ended, err)
	}
	n.open()
	for i, want := range []int{3, 4, 3, 137} {
		if e := n.waitExit(ids[i]); e.ExitCode != want || e.Unknown {
			t.Errorf("container %d ended with %+v, want %d", i, e, want)
		}
		n.remove(ids[i])
	}
}

func TestHaltOfAMachineThatRunsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if ended, err := runtime.Halt(t.Context(), runtime.Config{StateDir: dir, RunDir: dir + "/run"}, nil); ended != 0 || err != nil {
		t.Errorf("%d ended: %v", ended, err)
	}
}

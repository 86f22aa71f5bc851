package cluster

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// load is docker run --rm in a loop through every head, while a test breaks things, and beside
// it clients of the API whose history must be linearizable.
type load struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	seen    *history
	before  []string // what the nodes had of kernel objects

	mu      sync.Mutex
	worked  map[string]int       // runs by head
	failed  map[string][]string  // what docker said, by head
	kept    map[string]string    // names of containers that docker run -d has acknowledged, and their ids
	last    map[string]time.Time // when a run last worked, by head
	started time.Time
}

// startLoad begins, and removes at the end of the test what is left.
func startLoad(t *testing.T, b *bed.Bed) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{
		cancel: cancel, worked: map[string]int{}, failed: map[string][]string{}, kept: map[string]string{},
		last: map[string]time.Time{}, started: time.Now(), before: census(t, b),
	}
	l.seen = newHistory(t, fmt.Sprintf("load-seen-%d", l.started.UnixMilli()%1e6), 600, 200*time.Millisecond)
	for i, head := range heads {
		through := b.Through(t, head)
		l.running.Go(func() { l.run(ctx, head, through) })
		l.seen.join(&l.running, t, through, i, ctx.Done())
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

// run is one client, which keeps every fourth container.
func (l *load) run(ctx context.Context, head string, b *bed.Bed) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("load-%s-%d-%d", head, l.started.UnixMilli()%1e6, i)
		args := []string{"run", "--rm", "--name", name, b.Image, "echo", "done"}
		if i%4 == 3 {
			args = []string{"run", "-d", "--name", name, "-l", "load=kept", b.Image, "sleep", "1000"}
		}
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
		command := b.Client(limited, args...)
		var out, said bytes.Buffer
		command.Stdout, command.Stderr = &out, &said
		err := command.Run()
		cancel()
		l.note(head, name, strings.TrimSpace(out.String()), strings.TrimSpace(said.String()), err, i%4 == 3)
		if err != nil {
			select { // a user tries again, but not a thousand times a second
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (l *load) note(head, name, out, said string, err error, kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failed[head] = append(l.failed[head], fmt.Sprintf("%s: %v: %s", name, err, said))
	case kept:
		l.kept[name] = out
		fallthrough
	default:
		l.worked[head]++
		l.last[head] = time.Now()
	}
}

// workedThrough waits until a run through each of the heads has worked that ended after the
// call, and returns how long that took.
func (l *load) workedThrough(t *testing.T, names ...string) time.Duration {
	t.Helper()
	began := time.Now()
	bed.Eventually(t, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, head := range names {
			if !l.last[head].After(began) {
				return fmt.Errorf("nothing has worked through %s yet: %.400q", head, tail(l.failed[head]))
			}
		}
		return nil
	})
	return time.Since(began)
}

func tail(list []string) []string { return list[max(0, len(list)-2):] }

// settle ends the load and checks what came of it: every container that was acknowledged is
// there, through every head, and every other one is either there, as itself, or not at all.
func (l *load) settle(t *testing.T, b *bed.Bed) {
	t.Helper()
	l.stop()
	failures := 0
	for head, list := range l.failed {
		failures += len(list)
		for _, said := range tail(list) {
			t.Logf("through %s: %.300s", head, said)
		}
	}
	t.Logf("runs that worked: %v; that failed: %d; kept: %d", l.worked, failures, len(l.kept))
	awaitWhole(t, b)
	for _, head := range heads {
		through := b.Through(t, head)
		listed := map[string]string{}
		for line := range strings.Lines(through.Docker(t, "ps", "-a", "--no-trunc", "--filter", "name=^/load-", "--format", "{{.Names}} {{.ID}}")) {
			name, id, _ := strings.Cut(strings.TrimSpace(line), " ")
			listed[name] = id
		}
		for name, id := range l.kept {
			if listed[name] != id {
				t.Errorf("%s was acknowledged as %.12s, and %s lists %.12q", name, id, head, listed[name])
			}
		}
	}
	// What was half made or half removed is finished or undone by itself.
	bed.Eventually(t, func() error {
		left := b.Docker(t, "ps", "-a", "--filter", "name=^/load-", "--filter", "status=removing", "--format", "{{.Names}} {{.Status}}")
		if left != "" {
			return fmt.Errorf("half removed: %s", left)
		}
		return nil
	})
	nothingForgotten(t, b)
	removeNamed(t, b, "^/load-")
	l.seen.check(t)
	nothingLeaked(t, b, l.before)
}

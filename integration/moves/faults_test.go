package moves

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
)

// Whoever is killed while a container's files are copied, in the middle of one: in
// the end one node has it, with all that it wrote, and it runs.
func TestKillsDuringAMove(t *testing.T) {
	b := setting.Shared(t)
	for _, victim := range []string{"the old node", "the new node", "the head"} {
		t.Run(victim, func(t *testing.T) { killDuringMove(t, b, victim) })
	}
}

func killDuringMove(t *testing.T, b *bed.Bed, victim string) {
	name := strings.ReplaceAll(victim, " ", "-")
	id := writer(t, b, name)
	from := home(t, b, id)
	to := other(from)
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = try(ctx, b, "container", "move", "--rate", "2m", "dev/"+name, to) // the head may die over it
	}()
	defer func() { cancel(); <-asked }()
	bed.Eventually(t, func() error {
		out := operate(t, b, "container", "moves")
		for line := range strings.Lines(out) {
			if strings.Contains(line, id[:12]) && strings.Contains(line, "copying") {
				return nil
			}
		}
		return fmt.Errorf("nothing is copied: %s", out)
	})
	host := map[string]string{"the old node": from, "the new node": to, "the head": "head-1"}[victim]
	b.Fault(t, "kill", host)
	b.Fault(t, "start", host)
	on := moved(t, b, id)
	whole(t, b, id)
	t.Logf("it was on %s, was to go to %s, and is on %s", from, to, on)
}

// deaths are the places in the programs at which daemons die, those of one row
// in one move: of the node that has the container, of the one that it goes to,
// and of the head.
var deaths = []struct{ old, new, head string }{
	{"agent/depart-recorded=kill", "agent/come-recorded=kill", "head.transfer.placed=kill"},
	{"agent/depart-stopped=kill", "agent/fetch-begun=kill", "head.transfer.copied=kill"},
	{"agent/exit-recorded=kill", "agent/fetch-done=kill", "head.transfer.stopping=kill"},
	{"agent/remove-recorded=kill", "agent/arrive-registered=kill", "head.transfer.stopped=kill"},
	{"agent/remove-parts=kill", "agent/start-recorded=kill", "head.transfer.fetched=kill"},
	{"", "agent/start-running=kill", "head.transfer.complete=kill"},
	{"", "", "head.transfer.arrived=kill"},
	{"", "", "head.transfer.tidy=kill"},
	{"", "agent/come-recorded=error", "head.transfer.undoing=kill"},
}

// Daemons die at each place of a move: in the end one node has the container,
// with all that it wrote, and it runs.
func TestDeathsInAMove(t *testing.T) {
	b := setting.Shared(t)
	id := writer(t, b, "mortal")
	for _, places := range deaths {
		t.Run(strings.Trim(fmt.Sprint(places), "{ }"), func(t *testing.T) {
			from := home(t, b, id)
			armed := map[string]string{from: places.old, other(from): places.new, "head-1": places.head}
			maps.DeleteFunc(armed, func(_, place string) bool { return place == "" })
			dieMoving(t, b, journeyOf(t, b, id), armed, other(from))
			whole(t, b, id)
		})
	}
}

// familyDeaths are places that a move passes several times when containers move
// together: daemons die between the first and the last of them.
var familyDeaths = []struct{ old, new, head string }{
	{"agent/depart-recorded=kill", "agent/fetch-begun=kill", "head.transfer.departed=kill"},
	{"agent/exit-recorded=kill", "agent/arrive-registered=kill", "head.transfer.fetched=kill"},
	{"agent/remove-parts=kill", "agent/start-recorded=kill", "head.transfer.arrived=kill"},
	{"agent/depart-stopped=error", "", "head.transfer.stayed=kill"},
}

// Daemons die while containers move that share a volume and a network: in the
// end all are on one node, whole, and run.
func TestDeathsInAMoveOfAFamily(t *testing.T) {
	b := setting.Shared(t)
	f := newFamily(t, b, "clan")
	for _, places := range familyDeaths {
		t.Run(strings.Trim(fmt.Sprint(places), "{ }"), func(t *testing.T) {
			from := home(t, b, f.main)
			armed := map[string]string{from: places.old, other(from): places.new, "head-1": places.head}
			maps.DeleteFunc(armed, func(_, place string) bool { return place == "" })
			dieMoving(t, b, journeyOf(t, b, f.main), armed, other(from))
			f.whole(t, b)
		})
	}
}

// journey is what can be moved.
type journey struct {
	move    []string        // the command, but for the node
	over    func() error    // nil when nothing is under way with it
	holders func() []string // the nodes that have something of it
}

func journeyOf(t *testing.T, b *bed.Bed, id string) journey {
	return journey{
		move:    []string{"container", "move", id[:12]},
		holders: func() []string { return holders(b, id) },
		over: func() error {
			if out, err := try(t.Context(), b, "container", "moves"); err != nil || strings.Contains(out, id[:12]) {
				return fmt.Errorf("moves: %s %w", out, err)
			}
			return nil
		},
	}
}

// dieMoving moves something to a node and starts every daemon again that dies
// over it. armed are failpoints by host. A move that takes too long may be
// undone before all have died; then it is asked for again.
func dieMoving(t *testing.T, b *bed.Bed, what journey, armed map[string]string, to string) {
	t.Helper()
	for host, place := range armed {
		b.Fault(t, "kill", host)
		if _, err := b.Spearhead(t.Context(), []string{failpoint.Variable + "=" + place}, "dev", "fault", "start", host, "--dir", b.Dir); err != nil {
			t.Fatal(err)
		}
	}
	alive := map[string]bool{}
	for host, place := range armed {
		alive[host] = strings.HasSuffix(place, "=kill")
		if !alive[host] { // nothing else disarms it
			defer func() { b.Fault(t, "kill", host); b.Fault(t, "start", host) }()
		}
	}
	var asked chan struct{}
	ctx, cancel := context.WithCancel(t.Context())
	defer func() {
		cancel()
		if asked != nil {
			<-asked
		}
	}()
	bed.Eventually(t, func() error {
		for _, host := range b.Hosts(t) {
			if host.Pid == 0 {
				b.Fault(t, "start", host.Name)
				alive[host.Name] = false
			}
		}
		if asked == nil {
			asked = make(chan struct{})
			go func(asked chan struct{}) {
				defer close(asked)
				_, _ = try(ctx, b, append(slices.Clone(what.move), to)...) // the head may die over it
			}(asked)
		}
		select {
		case <-asked:
		default:
			return errors.New("the command has not ended")
		}
		if err := what.over(); err != nil {
			return err
		}
		asked = nil
		on := what.holders()
		for host := range alive {
			if alive[host] || len(on) != 1 {
				return fmt.Errorf("%s has not come to %s; what moves is on %v", host, armed[host], on)
			}
		}
		return nil
	})
}

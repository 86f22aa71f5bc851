package moves

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// Whoever is killed while a container moves, and at whatever step: in the end one
// node has it, with all that it wrote, and it runs.
func TestKillsDuringAMove(t *testing.T) {
	b := setting.Shared(t)
	for _, at := range []string{"copying", "stopping"} {
		for _, victim := range []string{"the old node", "the new node", "the head"} {
			t.Run(at+"/"+victim, func(t *testing.T) { killDuringMove(t, b, at, victim) })
		}
	}
}

func killDuringMove(t *testing.T, b *bed.Bed, at, victim string) {
	name := strings.NewReplacer(" ", "-", "/", "-").Replace(at + "-" + victim)
	id := writer(t, b, name, 3)
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
			if strings.Contains(line, id[:12]) && strings.Contains(line, at) {
				return nil
			}
		}
		return fmt.Errorf("the move is not %s: %s", at, out)
	})
	host := map[string]string{"the old node": from, "the new node": to, "the head": "head-1"}[victim]
	b.Fault(t, "kill", host)
	b.Fault(t, "start", host)
	on := moved(t, b, id)
	whole(t, b, id)
	t.Logf("it was on %s, was to go to %s, and is on %s", from, to, on)
}

package moves

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// A drained node is empty but for what cannot move, which is named.
func TestDrain(t *testing.T) {
	b := setting.Shared(t)
	for _, node := range nodes[1:] {
		operate(t, b, "node", "cordon", node)
	}
	runs := writer(t, b, "drained")
	rests := writer(t, b, "drained-resting")
	b.Docker(t, "stop", rests)
	hosts := b.Run(t, "--name", "hosts", b.Image, "sleep", "1000")
	guest := b.Run(t, "--name", "guest", "--network", "container:hosts", b.Image, "sleep", "1000")
	stays := b.Run(t, "--name", "rooted", b.Image, "sleep", "1000")
	b.Docker(t, "pause", stays)
	for _, node := range nodes[1:] {
		operate(t, b, "node", "uncordon", node)
	}
	t.Cleanup(func() { _, _ = try(context.Background(), b, "node", "uncordon", "node-1") })

	plan := operate(t, b, "node", "drain", "--dry-run", "node-1")
	for _, want := range []string{"dev/drained ", "dev/drained-resting", "guest", "container rooted is paused"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %q:\n%s", want, plan)
		}
	}
	if got := home(t, b, runs); got != "node-1" {
		t.Fatalf("a dry run moved a container to %s", got)
	}
	out, err := try(t.Context(), b, "node", "drain", "node-1", "--at-once", "2", "--rate", "100m")
	if err == nil || !strings.Contains(err.Error(), "1 of 5 could not be moved off node-1") {
		t.Errorf("drain: %v\n%s", err, out)
	}
	for _, id := range []string{runs, rests, hosts, guest} {
		if got := moved(t, b, id); got == "node-1" {
			t.Errorf("container %.12s is on %s", id, got)
		}
	}
	whole(t, b, runs)
	if one, two := home(t, b, hosts), home(t, b, guest); one != two {
		t.Errorf("a container is on %s, and the one in its network on %s", one, two)
	}
	if got := b.Inspect(t, rests, "{{.State.Status}}"); got != "exited" {
		t.Errorf("the container that was stopped is %s", got)
	}
	if got := b.Inspect(t, stays, "{{.State.Status}}"); got != "paused" || home(t, b, stays) != "node-1" {
		t.Errorf("the container that cannot move is %s", got)
	}
	b.Docker(t, "rm", "-f", "rooted")
	bed.Eventually(t, func() error {
		if out, err := try(t.Context(), b, "node", "drain", "node-1"); err != nil || !strings.Contains(out, "node-1 is empty") {
			return fmt.Errorf("drain of an empty node: %s %w", out, err)
		}
		return nil
	})
}

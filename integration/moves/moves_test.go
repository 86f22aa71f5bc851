package moves

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// A container moves with all that it is: id, name, address, MAC, files, volumes,
// labels, restart policy and log.
func TestMove(t *testing.T) {
	b := setting.Shared(t)
	id := writer(t, b, "wanderer", "--label", "a=b")
	from := home(t, b, id)
	const face = "{{.Id}} {{.Name}} {{.Config.Labels.a}} {{.HostConfig.RestartPolicy.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}}{{end}}"
	before := b.Inspect(t, id, face)
	to := other(from)
	out := operate(t, b, "container", "move", "dev/wanderer", to)
	if !strings.Contains(out, "is there") {
		t.Errorf("the command says %q", out)
	}
	if got := moved(t, b, id); got != to {
		t.Errorf("it is on %s", got)
	}
	if after := b.Inspect(t, id, face); after != before {
		t.Errorf("it was %s, and is %s", before, after)
	}
	whole(t, b, id)
	if got := b.Docker(t, "exec", id, "cat", "/data/end"); got != "last" {
		t.Errorf("what it wrote at its end is %q", got)
	}
	if _, err := try(t.Context(), b, "container", "move", "dev/wanderer", to); err == nil || !strings.Contains(err.Error(), "on that node already") {
		t.Errorf("a move to where it is: %v", err)
	}
	next := strconv.FormatInt(time.Now().Unix()+1, 10) // the client asks for whole seconds: "0s" would leave out what was just now
	events := b.Docker(t, "events", "--since", "1h", "--until", next, "--filter", "container="+id, "--format", "{{.Action}}")
	if want := "kill\ndie\nstop\nmove\nstart"; !strings.Contains(events, want) {
		t.Errorf("events are %q, want %q among them", events, want)
	}
	operate(t, b, "container", "move", id[:12]) // anywhere, and from there back
	moved(t, b, id)
	whole(t, b, id)
}

// A container that does not run moves too, and does not run after it.
func TestMoveOfAStoppedContainer(t *testing.T) {
	b := setting.Shared(t)
	id := writer(t, b, "sleeper")
	b.Docker(t, "stop", id)
	from := home(t, b, id)
	operate(t, b, "container", "move", "dev/sleeper", other(from))
	if got := moved(t, b, id); got != other(from) {
		t.Errorf("it is on %s", got)
	}
	if got := b.Inspect(t, id, "{{.State.Status}} {{.State.ExitCode}}"); got != "exited 0" {
		t.Errorf("after its move it is %s", got)
	}
	b.Docker(t, "start", id)
	whole(t, b, id)
}

// What cannot move is refused by name, and runs on.
func TestRefusedMoves(t *testing.T) {
	b := setting.Shared(t)
	one := writer(t, b, "shares")
	two := b.Run(t, "--name", "shares-too", "-v", "shares-data:/data", b.Image, "sleep", "1000")
	b.Docker(t, "pause", two)
	for want, args := range map[string][]string{
		"container shares-too is paused": {"dev/shares"}, // with which it would move
		"there is no container":          {"dev/nobody"},
		"there is no node":               {"dev/shares", "node-9"},
		"no account":                     {"nobody/web"},
	} {
		if _, err := try(t.Context(), b, append([]string{"container", "move"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("move %v: %v, want %q", args, err, want)
		}
	}
	whole(t, b, one)
	b.Docker(t, "unpause", two)
}

// On ZFS a volume moves by snapshots, once for all that mount it, and those that
// users took come along.
func TestMoveOnZFS(t *testing.T) {
	setting.Shared(t) // or a skip
	if _, err := exec.LookPath("zfs"); err != nil {
		t.Skip("needs ZFS or zfs-fuse: volumes as datasets")
	}
	b, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "zfs"), "--nodes", "2", "--storage", "zfs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	id := writer(t, b, "wanderer")
	shares := b.Run(t, "--name", "companion", "--volumes-from", "wanderer", b.Image, "sleep", "1000")
	operate(t, b, "volume", "snapshot", "dev/wanderer-data", "monday")
	b.Docker(t, "exec", id, "sh", "-c", "echo later > /data/later")
	for range 2 { // there and back
		operate(t, b, "container", "move", "dev/wanderer")
		bed.Eventually(t, func() error { _, err := try(t.Context(), b, "volume", "snapshots", "dev/wanderer-data"); return err })
		whole(t, b, id)
		for _, user := range []string{id, shares} {
			if got := b.Docker(t, "exec", user, "cat", "/data/later"); got != "later" {
				t.Errorf("the volume of %.12s holds %q", user, got)
			}
		}
		if got := operate(t, b, "volume", "snapshots", "dev/wanderer-data"); !strings.Contains(got, "monday") || strings.Contains(got, "spearhead-") {
			t.Errorf("its snapshots are %s", got)
		}
		free(t, b)
	}
	t.Run("volumes alone", func(t *testing.T) { volumesAloneOnZFS(t, b) })
}

// free waits until the container could move again: its old node has let go of
// it by then.
func free(t *testing.T, b *bed.Bed) {
	t.Helper()
	bed.Eventually(t, func() error {
		for _, node := range []string{"node-1", "node-2"} {
			plan := operate(t, b, "node", "drain", "--dry-run", node)
			if strings.Contains(plan, "wanderer") && strings.Contains(plan, other(node)) {
				return nil
			}
		}
		return errors.New("it has nowhere to go")
	})
}

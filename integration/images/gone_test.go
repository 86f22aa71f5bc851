package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// start calls docker and does not wait for it; end waits, and returns how it went.
func start(t *testing.T, b *bed.Bed, args ...string) (end func() bed.Outcome, kill func()) {
	t.Helper()
	command := b.Command(t, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return func() bed.Outcome {
		_ = command.Wait() // the code tells
		return bed.Outcome{Stdout: stdout.String(), Stderr: stderr.String(), Code: command.ProcessState.ExitCode()}
	}, func() { _ = command.Process.Kill() }
}

// within bounds a wait for something that must happen.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// TestPullGoesOnAfterAKill kills the agent in the middle of a layer. What the node has is
// not asked for again.
func TestPullGoesOnAfterAKill(t *testing.T) {
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	const size = 24 << 20
	name := r.address + "/resumed:1"
	pushLarge(t, name, size)
	forget(t, b, name)
	b.Fault(t, "kill", "node-2") // so that both pulls are node-1's
	t.Cleanup(func() { restored(t, b, "node-2") })
	r.throttle(6 << 20)
	end, _ := start(t, b, "pull", name)
	if err := r.awaitBrought(within(t, time.Minute), size*2/3); err != nil {
		t.Fatalf("%v; docker says %+v", err, end())
	}
	b.Fault(t, "kill", "node-1")
	t.Cleanup(func() { restored(t, b, "node-1") })
	if done := end(); done.Code == 0 || !strings.Contains(done.Stderr, "node") {
		t.Errorf("the pull of a node that was killed: %+v", done)
	}
	r.heal()
	b.Fault(t, "start", "node-1")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "pull", name); done.Code != 0 {
			return errors.New(done.Stderr)
		}
		return nil
	})
	if brought := r.brought(); brought > size*4/3 {
		t.Errorf("the registry was asked for %d bytes of an image of %d", brought, size)
	}
	if out := b.Docker(t, "run", "--rm", name, "sh", "-c", "wc -c < /big"); out != fmt.Sprint(size) {
		t.Errorf("the file of %d bytes has %s", size, out)
	}
	b.Fault(t, "start", "node-2")
}

// restored starts a daemon at the end of a test, if it does not run.
func restored(t *testing.T, b *bed.Bed, host string) {
	t.Helper()
	if err := b.Up(afterTest(t)); err != nil {
		t.Errorf("cannot bring %s back: %v", host, err)
	}
}

// TestRunWithoutTheRegistry pulls an image, takes the registry away, and runs the image on
// both nodes.
func TestRunWithoutTheRegistry(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/kept:1"
	pushLarge(t, name, 4<<20)
	forget(t, b, name)
	b.Docker(t, "pull", name)
	r.takeAway()
	onBothNodes(t, b, name, "test $(wc -c < /big) = 4194304 && echo whole; sleep 1000")
	refusedWith(t, b, "cannot be reached", "pull", name)
	r.bringBack(t)
	b.Docker(t, "pull", name)
}

// onBothNodes runs a command that prints "whole" until both nodes have run it.
func onBothNodes(t *testing.T, b *bed.Bed, image, command string) {
	t.Helper()
	ran := map[string]bool{}
	for range 40 {
		id := b.Run(t, "--pull", "never", image, "sh", "-c", command)
		b.Logged(t, id, "whole")
		if ran[nodeRunning(t, b, id)] = true; len(ran) == 2 {
			return
		}
	}
	t.Errorf("the containers are all on %v", ran)
}

// TestPullOverABrokenConnection goes on where it was.
func TestPullOverABrokenConnection(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	const size = 8 << 20
	name := r.address + "/broken:1"
	pushLarge(t, name, size)
	forget(t, b, name)
	r.cutAfter(size / 2)
	b.Docker(t, "pull", name)
	if !r.wasCut() {
		t.Error("nothing was cut")
	}
	if brought := r.brought(); brought > size*5/4 {
		t.Errorf("the registry was asked for %d bytes of an image of %d", brought, size)
	}
}

// TestStalledRegistry says nothing any more when a layer has begun. Fewer bytes than a slow
// line brings have come by then, so the first look at them ends the pull.
func TestStalledRegistry(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	const size = 8 << 20
	name := r.address + "/stalled:1"
	pushLarge(t, name, size)
	forget(t, b, name)
	r.throttle(32 << 10)
	end, _ := start(t, b, "pull", name)
	if err := r.awaitBrought(within(t, time.Minute), 16<<10); err != nil {
		t.Fatal(err)
	}
	r.stall()
	done := end()
	if done.Code != 1 || !strings.Contains(done.Stderr, "the registry sends too slowly or nothing at all") || strings.Contains(done.Stderr, "context") {
		t.Errorf("the pull from a registry that stalls: %+v", done)
	}
	r.heal()
	b.Docker(t, "pull", name)
	if brought := r.brought(); brought > size*2 {
		t.Errorf("the registry was asked for %d bytes of an image of %d", brought, size)
	}
}

// TestPullWithoutItsClient ends with the client, as with ctrl-c.
func TestPullWithoutItsClient(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	const size = 32 << 20
	name := r.address + "/left:1"
	pushLarge(t, name, size)
	r.throttle(1 << 20)
	end, kill := start(t, b, "pull", name)
	if err := r.awaitBrought(within(t, time.Minute), size/32); err != nil {
		t.Fatal(err)
	}
	kill()
	end()
	before, still := int64(0), 0
	bed.Eventually(t, func() error {
		if now := r.brought(); now != before {
			before, still = now, 0
		}
		if still++; still < 20 {
			return fmt.Errorf("%d bytes came, and more come", before)
		}
		return nil
	})
	if before > size/2 {
		t.Errorf("%d of %d bytes came after the client went", before, size)
	}
}

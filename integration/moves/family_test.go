package moves

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// family are containers as in a Compose file: one writes to a volume, another
// counts in that volume, and a third lives in the network of the first.
type family struct{ main, counter, sidecar string }

func newFamily(t *testing.T, b *bed.Bed, name string) family {
	t.Helper()
	main := writer(t, b, name)
	const count = `trap "exit 0" TERM; n=$(tail -n 1 /data/count 2>/dev/null || echo 0)
		while :; do n=$((n+1)); echo $n >> /data/count; sleep 0.1 & wait $!; done`
	return family{
		main:    main,
		counter: b.Run(t, "--name", name+"-counter", "--restart", "always", "--volumes-from", name, b.Image, "sh", "-c", count),
		sidecar: b.Run(t, "--name", name+"-sidecar", "--restart", "always", "--network", "container:"+name, b.Image, "sh", "-c", `trap "exit 0" TERM; while :; do sleep 1 & wait $!; done`),
	}
}

// moved waits until nothing is under way with any of them, and returns the node
// that has all.
func (f family) moved(t *testing.T, b *bed.Bed) string {
	t.Helper()
	on := moved(t, b, f.main)
	for _, id := range []string{f.counter, f.sidecar} {
		if got := moved(t, b, id); got != on {
			t.Fatalf("container %.12s is on %s, and its family on %s", id, got, on)
		}
	}
	return on
}

// whole checks that all run, and share what they shared: not a line of what was
// counted is missing or there twice.
func (f family) whole(t *testing.T, b *bed.Bed) {
	t.Helper()
	f.moved(t, b)
	whole(t, b, f.main)
	before := f.counted(t, b)
	bed.Eventually(t, func() error {
		if now := f.counted(t, b); now <= before {
			return fmt.Errorf("it has counted to %d, and before to %d", now, before)
		}
		const mac = "/sys/class/net/eth0/address"
		own, shared := b.Try(t, "exec", f.main, "cat", mac), b.Try(t, "exec", f.sidecar, "cat", mac)
		if own.Code != 0 || shared.Code != 0 || own.Stdout != shared.Stdout {
			return fmt.Errorf("the one has the network %q, the other in it %q: %s%s", own.Stdout, shared.Stdout, own.Stderr, shared.Stderr)
		}
		return nil
	})
}

// counted is how far the counter has come, by what the other sees in the volume.
func (f family) counted(t *testing.T, b *bed.Bed) (n int) {
	t.Helper()
	bed.Eventually(t, func() error {
		seen := b.Try(t, "exec", f.main, "cat", "/data/count")
		lines := strings.Fields(seen.Stdout)
		if seen.Code != 0 || len(lines) == 0 {
			return fmt.Errorf("code %d: %s", seen.Code, seen.Stderr)
		}
		for i, line := range lines {
			if line != strconv.Itoa(i+1) {
				t.Fatalf("line %d of what was counted is %q", i+1, line)
			}
		}
		n = len(lines)
		return nil
	})
	return n
}

// What shares a volume or a network moves in one move, whichever is named, while
// it writes; and back.
func TestMoveOfAFamily(t *testing.T) {
	b := setting.Shared(t)
	f := newFamily(t, b, "house")
	f.whole(t, b)
	from := home(t, b, f.main)
	to := other(from)
	out := operate(t, b, "container", "move", "dev/house-counter", to)
	for _, want := range []string{"dev/house-counter shares volumes or namespaces, and moves together with ", "house-sidecar", "is there"} {
		if !strings.Contains(out, want) {
			t.Errorf("the command says %q, not %q", out, want)
		}
	}
	if got := f.moved(t, b); got != to {
		t.Errorf("the family is on %s", got)
	}
	f.whole(t, b)
	operate(t, b, "container", "move", f.sidecar[:12], "--rate", "50m") // anywhere
	if got := f.moved(t, b); got == to {
		t.Errorf("the family is on %s still", got)
	}
	f.whole(t, b)
}

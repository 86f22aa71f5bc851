package moves

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting = bed.Setting{Options: []string{"--nodes", "3"}}

func TestMain(m *testing.M) { os.Exit(setting.Main(m)) }

var nodes = []string{"node-1", "node-2", "node-3"}

// operate calls an operator's command, which must succeed.
func operate(t *testing.T, b *bed.Bed, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), b, args...)
	if err != nil {
		t.Fatalf("spearhead %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func try(ctx context.Context, b *bed.Bed, args ...string) (string, error) {
	return b.Spearhead(ctx, []string{"SPEARHEAD_SOCKET=" + b.Setting("SPEARHEAD_SOCKET")}, args...)
}

// holders are the nodes that have a root of a container.
func holders(b *bed.Bed, id string) (on []string) {
	for _, node := range nodes {
		if _, err := os.Lstat(filepath.Join(b.Dir, node, "state", "images", "roots", id)); err == nil {
			on = append(on, node)
		}
	}
	return on
}

// home is the node that has a container, and the only one.
func home(t *testing.T, b *bed.Bed, id string) string {
	t.Helper()
	on := holders(b, id)
	if len(on) != 1 {
		t.Fatalf("container %.12s is on %v", id, on)
	}
	return on[0]
}

// moved waits until nothing is under way with a container and one node has it.
func moved(t *testing.T, b *bed.Bed, id string) string {
	t.Helper()
	bed.Eventually(t, func() error {
		out, err := try(t.Context(), b, "container", "moves")
		if err != nil || strings.Contains(out, id[:12]) {
			return fmt.Errorf("moves: %s %w", out, err)
		}
		if on := holders(b, id); len(on) != 1 {
			return fmt.Errorf("container %.12s is on %v", id, on)
		}
		return nil
	})
	return home(t, b, id)
}

// other is a node that is not from.
func other(from string) string {
	for _, node := range nodes {
		if node != from {
			return node
		}
	}
	return ""
}

// volume makes a volume that is removed when the test has ended.
func volume(t *testing.T, b *bed.Bed, name string) string {
	t.Helper()
	b.Docker(t, "volume", "create", name)
	t.Cleanup(func() {
		// A node may still let go of what it had of it.
		err := bed.Poll(context.Background(), bed.Patience, func() error {
			if out, err := b.Client(context.Background(), "volume", "rm", "-f", name).CombinedOutput(); err != nil {
				return fmt.Errorf("docker volume rm %s: %w: %s", name, err, out)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	return name
}

// writer is a container that has written what a move must bring along: to its
// root, to a volume and to its log. It ends when it is asked to.
func writer(t *testing.T, b *bed.Bed, name string, options ...string) string {
	t.Helper()
	volume(t, b, name+"-data")
	const script = `trap "echo last > /data/end; exit 0" TERM
		[ -e /root/big ] || { echo first run; head -c 4000000 /dev/urandom > /root/big; md5sum < /root/big > /data/sum
		mkdir -p /root/d; ln -s ../nowhere /root/d/link; ln /root/big /root/d/hard; rm -f /etc/passwd; }
		touch /tmp/ready; echo ready; while :; do sleep 0.2 & wait $!; done`
	args := append([]string{"--name", name, "--restart", "always", "-v", name + "-data:/data"}, options...)
	id := b.Run(t, append(args, b.Image, "sh", "-c", script)...)
	b.Logged(t, id, "ready\n")
	return id
}

// whole checks that a container runs with all that it had written.
func whole(t *testing.T, b *bed.Bed, id string) {
	t.Helper()
	bed.Eventually(t, func() error {
		done := b.Try(t, "exec", id, "sh", "-c",
			`md5sum < /root/big | cmp - /data/sum && cmp /root/big /root/d/hard && test "$(readlink /root/d/link)" = ../nowhere && test ! -e /etc/passwd && echo whole`)
		if strings.TrimSpace(done.Stdout) != "whole" {
			return fmt.Errorf("code %d: %s%s", done.Code, done.Stdout, done.Stderr)
		}
		return nil
	})
	b.Logged(t, id, "first run\n")
}

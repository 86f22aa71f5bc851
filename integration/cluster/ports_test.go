package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// What hosts of a rack serve.
const (
	gossipPort = "7946"
	agentPort  = "7947"
)

// TestF9AgentsAreCutOffByPort parts agents from heads and not from gossip, and the reverse: the
// first is a node that cannot be reached, whose containers go on; the second changes nothing,
// since what gossip says is a hint.
func TestF9AgentsAreCutOffByPort(t *testing.T) {
	b := whole(t)
	users := startLoad(t, b)
	id := counting(t, b, "parted", "--restart", "always")
	pid, node := b.Inspect(t, id, "{{.State.Pid}}"), nodeOf(t, b, id)
	gone := goneByGossip(t, b)
	for _, c := range []struct {
		breaks, port string
		seen         func() error
	}{
		{"isolate", agentPort, func() error { return unreachable(t, b, id) }},
		{"mute", agentPort, func() error { return unreachable(t, b, id) }},
		{"isolate", gossipPort, func() error { return more(goneByGossip(t, b), gone+1, "nodes are gone by gossip") }},
	} {
		t.Run(c.breaks+c.port, func(t *testing.T) {
			faultAt(t, b, c.breaks, node, c.port)
			bed.Eventually(t, c.seen)
			if done := b.Try(t, "exec", id, "true"); (done.Code == 0) != (c.port == gossipPort) {
				t.Errorf("docker exec ends with %d: %s", done.Code, done.Stderr)
			}
			users.workedThrough(t, heads...)
			fault(t, b, "heal", node)
			awaitWhole(t, b)
		})
	}
	if now := b.Inspect(t, id, "{{.State.Pid}} {{.Node.Name}} {{.RestartCount}}"); now != pid+" "+node+" 0" {
		t.Errorf("the container is %q, it was process %s on %s", now, pid, node)
	}
	if err := started(t, b, id, 1); err != nil {
		t.Error(err)
	}
	b.Docker(t, "rm", "-f", id)
	users.settle(t, b)
}

// goneByGossip is how many nodes a head's gossip takes for gone.
func goneByGossip(t *testing.T, b *bed.Bed) (n int) {
	t.Helper()
	for line := range strings.Lines(fetch(t, "http://"+address(t, b, "head-1")+":9376/metrics")) {
		if number, found := strings.CutPrefix(line, `spearhead_gossip_members{alive="no",role="node"} `); found {
			if _, err := fmt.Sscan(number, &n); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

package cluster

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting = bed.Setting{Options: []string{"--heads", "3", "--nodes", "3"}}

func TestMain(m *testing.M) {
	os.Exit(setting.Main(m))
}

var heads = []string{"head-1", "head-2", "head-3"}

// whole returns the shared rack with all of its machines at work and its image at hand, and mends, when the test
// has ended, what it broke.
func whole(t *testing.T) *bed.Bed {
	t.Helper()
	b := setting.Shared(t)
	t.Cleanup(func() { mend(t, b) })
	awaitWhole(t, b)
	b.Docker(t, "pull", "-q", b.Image)
	return b
}

// mend brings all machines back that a test has broken.
func mend(t *testing.T, b *bed.Bed) {
	t.Helper()
	for _, h := range hosts(t, b) {
		verbs := []string{}
		if h.Cut {
			verbs = append(verbs, "heal")
		}
		switch h.State {
		case "stopped":
			verbs = append(verbs, "cont")
		case "dead", "off":
			verbs = append(verbs, "start")
		}
		for _, verb := range verbs {
			fault(t, b, verb, h.Name)
		}
	}
}

// awaitWhole waits until all heads agree and see all nodes.
func awaitWhole(t *testing.T, b *bed.Bed) {
	t.Helper()
	bed.Eventually(t, func() error {
		for _, head := range heads {
			status, err := statusOf(t, b, head)
			if err != nil {
				return err
			}
			if status.Raft.Leader == "" || len(status.Raft.Heads) != len(heads) {
				return fmt.Errorf("%s sees %d heads and the leader %q", head, len(status.Raft.Heads), status.Raft.Leader)
			}
			for _, n := range status.Nodes {
				if !n.Connected {
					return fmt.Errorf("%s does not see %s", head, n.Name)
				}
			}
		}
		return nil
	})
}

// since is a time for the log of a test, in tenths of a second.
func since(began time.Time) time.Duration { return time.Since(began).Round(100 * time.Millisecond) }

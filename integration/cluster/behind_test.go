package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestF19AHeadThatIsFarBehindGetsASnapshot restores a backup while a head is down, so that the
// log it lacks is gone: it gets all of the state at once, and takes part again.
func TestF19AHeadThatIsFarBehindGetsASnapshot(t *testing.T) {
	b := whole(t)
	kept := counting(t, b, "before-the-backup")
	backup := filepath.Join(t.TempDir(), "backup.tar")
	behind := others(b.Leader(t))[0]
	operate(t, b, others(behind)[0], "head", "backup", backup)
	fault(t, b, "kill", behind)
	seen := len(logOf(t, b, behind))
	operate(t, b, b.Leader(t), "head", "restore", "--yes", backup)
	users := startLoad(t, b)
	users.workedThrough(t, others(behind)...)
	fault(t, b, "start", behind)
	users.workedThrough(t, heads...)
	if said := logOf(t, b, behind)[seen:]; !strings.Contains(strings.ToLower(said), "snapshot") {
		t.Errorf("%s got no snapshot: %s", behind, said)
	}
	fault(t, b, "kill", behind) // what it was given must be on its disk
	fault(t, b, "start", behind)
	users.workedThrough(t, heads...)
	users.settle(t, b)
	for _, head := range heads {
		if state := b.Through(t, head).Inspect(t, kept, "{{.State.Status}}"); state != "running" {
			t.Errorf("%s says that the container is %s", head, state)
		}
	}
}

// logOf is all that a host's daemon has logged.
func logOf(t *testing.T, b *bed.Bed, host string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Dir, "logs", host+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// endsSaying starts a head that must end by itself, and waits until it has and has said why.
func endsSaying(t *testing.T, b *bed.Bed, head, why string) {
	t.Helper()
	seen := len(logOf(t, b, head))
	_, _ = b.Dev(t.Context(), "fault", "start", head) // it may have ended before anybody looks
	bed.Eventually(t, func() error {
		for _, h := range b.Hosts(t) {
			if h.Name == head && h.Pid != 0 {
				return fmt.Errorf("%s runs", head)
			}
		}
		if said := logOf(t, b, head)[seen:]; !strings.Contains(said, why) {
			return fmt.Errorf("the log of %s does not say %q: %s", head, why, said)
		}
		return nil
	})
}

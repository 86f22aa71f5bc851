package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// census lists what the nodes have of things that containers are made of: links, mounts (which
// network namespaces are too) and control groups.
func census(t *testing.T, b *bed.Bed) []string {
	t.Helper()
	needs(t, "nsenter")
	var found []string
	for _, h := range b.Hosts(t) {
		if !strings.HasPrefix(h.Name, "node-") || h.State == "off" {
			continue
		}
		for line := range strings.Lines(seenOn(t, b, h.Name, "/proc/net/dev")) {
			if name, _, isLink := strings.Cut(line, ":"); isLink {
				found = append(found, h.Name+" link "+strings.TrimSpace(name))
			}
		}
		for line := range strings.Lines(seenOn(t, b, h.Name, "/proc/self/mountinfo")) {
			// A network's segment stays on a node that had a container in it.
			if fields := strings.Fields(line); len(fields) > 4 && !strings.Contains(fields[4], "/net/segments/") {
				found = append(found, h.Name+" mount "+fields[4])
			}
		}
	}
	groups, err := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/spearhead-rack-%s/*/*", b.Index()))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		if !strings.Contains(filepath.Base(group), ".") { // else a setting
			found = append(found, "cgroup "+group)
		}
	}
	return found
}

// seenOn is a file of /proc as a node sees it; also when the test's context has ended.
func seenOn(t *testing.T, b *bed.Bed, node, path string) string {
	t.Helper()
	pin := filepath.Join(b.RunDir(), node)
	out, err := exec.CommandContext(context.Background(), "nsenter", "--net="+pin+".net", "--mount="+pin+".mnt", "cat", path).Output()
	if err != nil {
		t.Fatalf("cannot read %s on %s: %v", path, node, err)
	}
	return string(out)
}

// nothingLeaked waits until the nodes have nothing that they did not have before.
func nothingLeaked(t *testing.T, b *bed.Bed, before []string) {
	t.Helper()
	bed.Eventually(t, func() error {
		more := slices.DeleteFunc(census(t, b), func(thing string) bool { return slices.Contains(before, thing) })
		if len(more) > 0 {
			return fmt.Errorf("left behind: %.1000q", more)
		}
		return nil
	})
}

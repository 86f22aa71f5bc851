package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/metrics"
	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/rack"
)

// hosts are the rack's hosts; also when the test's context has ended.
func hosts(t *testing.T, b *bed.Bed) []rack.Host {
	t.Helper()
	r, err := rack.Load(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	status, err := r.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return status.Hosts
}

// fault breaks a host, or mends it; also when the test's context has ended.
func fault(t *testing.T, b *bed.Bed, verb, host string) {
	t.Helper()
	if _, err := b.Dev(context.Background(), "fault", verb, host); err != nil {
		t.Fatal(err)
	}
}

// faultAt is fault for what a host serves at one port.
func faultAt(t *testing.T, b *bed.Bed, verb, host, port string) {
	t.Helper()
	if _, err := b.Dev(context.Background(), "fault", verb, host, port); err != nil {
		t.Fatal(err)
	}
}

// others are the heads but one.
func others(head string) []string {
	return slices.DeleteFunc(slices.Clone(heads), func(h string) bool { return h == head })
}

// statusOf asks a head how it works, as its operator.
func statusOf(t *testing.T, b *bed.Bed, head string) (metrics.Status, error) {
	t.Helper()
	var status metrics.Status
	out, err := b.Spearhead(context.Background(), []string{"SPEARHEAD_SOCKET=" + b.Through(t, head).Setting("SPEARHEAD_SOCKET")}, "status", "--json")
	if err != nil {
		return status, err
	}
	return status, json.Unmarshal([]byte(out), &status)
}

// nodeOf is the name of the node that a container is on.
func nodeOf(t *testing.T, b *bed.Bed, container string) string {
	t.Helper()
	name := b.Inspect(t, container, "{{.Node.Name}}")
	if !strings.HasPrefix(name, "node-") {
		t.Fatalf("%s is on %q", container, name)
	}
	return name
}

// nothingForgotten waits until what was interrupted is finished or undone (P13), and checks that
// nodes run what the data center knows, and nothing else.
func nothingForgotten(t *testing.T, b *bed.Bed) {
	t.Helper()
	leader := b.Leader(t)
	err := bed.Poll(t.Context(), bed.Patience, func() error {
		status, err := statusOf(t, b, leader)
		if err != nil {
			return err
		}
		for _, n := range status.Nodes {
			if len(n.Orphans)+len(n.Missing) > 0 {
				return fmt.Errorf("%s runs what nobody knows: %v, and has lost %v", n.Name, n.Orphans, n.Missing)
			}
		}
		for _, u := range status.Unfinished {
			return fmt.Errorf("the creation of %s goes on since %s", u.ID, u.Since)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// started fails if a container's file of starts does not have exactly so many lines.
func started(t *testing.T, b *bed.Bed, container string, times int) error {
	t.Helper()
	done := b.Try(t, "exec", container, "cat", "/starts")
	if n := strings.Count(done.Stdout, "start"); done.Code != 0 || n != times {
		return fmt.Errorf("%s has started %d times, want %d: %s", container, n, times, done.Stderr)
	}
	return nil
}

// removeNamed removes the containers whose names match; also when the test's context has ended.
func removeNamed(t *testing.T, b *bed.Bed, pattern string) {
	t.Helper()
	err := bed.Poll(context.Background(), bed.Patience, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		out, err := b.Client(ctx, "ps", "-aq", "--filter", "name="+pattern).CombinedOutput()
		if err != nil {
			return fmt.Errorf("docker ps: %w: %s", err, out)
		}
		ids := strings.Fields(string(out))
		if len(ids) == 0 {
			return nil
		}
		if out, err := b.Client(ctx, append([]string{"rm", "-f"}, ids...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker rm: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

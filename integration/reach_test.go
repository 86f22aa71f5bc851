package integration

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/rack"
)

// TestNodeOutOfReach takes a node away in two ways. What the head knows is
// still told, once the head has noticed what needs the node is refused plainly, and the
// node comes back with everything that ran on it.
func TestNodeOutOfReach(t *testing.T) {
	b := sharedBed(t)
	for _, way := range []struct{ away, back string }{{"cut", "heal"}, {"stop", "cont"}} {
		t.Run(way.away, func(t *testing.T) {
			id := ticker(t, b)
			pid := b.Inspect(t, id, "{{.State.Pid}}")
			b.Fault(t, way.away, "node-1")
			t.Cleanup(func() { restore(t, b, way.back, "node-1") })
			if out, err := dockerSoon(t, b, "ps", "-q", "--no-trunc"); err != nil || !strings.Contains(out, id) {
				t.Errorf("docker ps: %q, error %v", out, err)
			}
			// A call that is under way when the head notices ends then.
			limited, cancel := context.WithTimeout(t.Context(), bed.Patience)
			defer cancel()
			if out, err := dockerWithin(limited, b, "exec", id, "true"); err == nil || !plain(out) {
				t.Errorf("docker exec: error %v, it says %q", err, out)
			}
			b.Fault(t, way.back, "node-1")
			unharmed(t, b, id, pid)
		})
	}
}

// dockerSoon calls docker, which must not hang.
func dockerSoon(t *testing.T, b *bed.Bed, args ...string) (string, error) {
	t.Helper()
	limited, cancel := context.WithTimeout(t.Context(), bed.Patience)
	defer cancel()
	return dockerWithin(limited, b, args...)
}

// plain tells whether a refusal is one sentence about the node, without
// anything of the machines in it.
func plain(said string) bool {
	text, fromDaemon := strings.CutPrefix(strings.TrimSpace(said), "Error response from daemon: ")
	return fromDaemon && strings.Contains(text, "node") && !strings.Contains(text, "\n") &&
		!strings.Contains(text, "10.93.") && !strings.Contains(text, "context deadline") && !strings.Contains(text, "dial")
}

// restore undoes a fault at the end of a test, whether it was undone before or not.
func restore(t *testing.T, b *bed.Bed, verb, host string) {
	t.Helper()
	if _, err := b.Dev(context.Background(), "fault", verb, host); err != nil {
		t.Error(err)
	}
}

// TestHeadAway takes the head away in each way while a container runs.
func TestHeadAway(t *testing.T) {
	b := sharedBed(t)
	for _, way := range []struct{ away, back string }{{"cut", "heal"}, {"stop", "cont"}, {"kill", "start"}} {
		t.Run(way.away, func(t *testing.T) {
			id := ticker(t, b)
			pid := b.Inspect(t, id, "{{.State.Pid}}")
			b.Fault(t, way.away, "head-1")
			t.Cleanup(func() { restore(t, b, way.back, "head-1") })
			if !runs(b, pid) {
				t.Error("the container ended with its head")
			}
			limited, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if out, err := dockerWithin(limited, b, "ps", "-q"); err == nil {
				t.Errorf("docker ps without a head: %q", out)
			}
			b.Fault(t, way.back, "head-1")
			unharmed(t, b, id, pid)
		})
	}
}

// runs tells whether a process of this machine is there.
func runs(b *bed.Bed, pid string) bool {
	_, err := os.Stat(filepath.Join("/proc", pid))
	return err == nil
}

func TestFaultsAreTold(t *testing.T) {
	b := sharedBed(t)
	for _, args := range [][]string{{"break", "node-1"}, {"cut", "node-9"}} {
		if _, err := b.Dev(t.Context(), "fault", args[0], args[1]); err == nil || !strings.Contains(err.Error(), args[0]) {
			t.Errorf("dev fault %v: %v", args, err)
		}
	}
	b.Fault(t, "cut", "node-1")
	t.Cleanup(func() { restore(t, b, "heal", "node-1") })
	b.Fault(t, "stop", "head-1")
	t.Cleanup(func() { restore(t, b, "cont", "head-1") })
	r, err := rack.Load(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	status, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range status.Hosts {
		if head := h.Name == "head-1"; h.Cut == head || (h.State == "stopped") != head {
			t.Errorf("%s is %s, cut: %v", h.Name, h.State, h.Cut)
		}
	}
	b.Fault(t, "cont", "head-1")
	b.Fault(t, "heal", "node-1")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "run", "--rm", b.Image, "true"); done.Code != 0 {
			return errors.New(done.Stderr)
		}
		return nil
	})
}

func TestAccountOfARackIsReady(t *testing.T) {
	b := sharedBed(t)
	r, err := rack.Load(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it gets a new certificate
		if err := r.AddAccount(t.Context(), "joan", model.PolicyTenant); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { b.Operator(t, "account", "rm", "joan") })
	settings, err := r.Env("joan", "")
	if err != nil {
		t.Fatal(err)
	}
	joan := *b
	joan.Env = append(bed.CleanEnv(), append(settings, "DOCKER_CONFIG="+t.TempDir())...)
	if out := joan.Docker(t, "ps", "-aq"); out != "" {
		t.Errorf("a new account lists %q", out)
	}
	if done := joan.Try(t, "run", "--privileged", b.Image, "true"); done.Code == 0 {
		t.Error("a tenant ran a privileged container")
	}
}

// TestCensusIsWhatThereIs compares the rack's own count with what it must have.
func TestCensusIsWhatThereIs(t *testing.T) {
	b := sharedBed(t)
	b.Run(t, b.Image, "sleep", "1000")
	found, err := rack.Census(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(found, "\n")
	for _, want := range []string{
		"link shu" + b.Index(), "link she" + b.Index(), "firewall spearhead-rack-" + b.Index(), "cgroup /", "mount " + b.RunDir(),
		"head run", "agent run", "iod", "sleep 1000", "file " + b.Dir,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the census lacks %q:\n%s", want, all)
		}
	}
	none, err := rack.Census(t.TempDir())
	if err != nil || len(none) > 0 {
		t.Errorf("the census of a folder without a rack: %v, error %v", none, err)
	}
}

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// on prepares a command of the program under test on a host of the rack, as its operator calls
// it there.
func on(ctx context.Context, b *bed.Bed, host string, args ...string) *exec.Cmd {
	pin := filepath.Join(b.RunDir(), host)
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + pin + ".net", "--mount=" + pin + ".mnt", setting.Binary}, args...)...)
}

// operate is an operator's command through a head's socket, which must succeed.
func operate(t *testing.T, b *bed.Bed, head string, args ...string) string {
	t.Helper()
	out, err := b.Spearhead(t.Context(), []string{"SPEARHEAD_SOCKET=" + b.Through(t, head).Setting("SPEARHEAD_SOCKET")}, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestF19ADeadHeadIsReplaced follows docs/operators/machines.md: a head dies, is removed by its
// name, ends again if it is started with what it had, and the machine, emptied, joins anew by
// a token, while users work on.
func TestF19ADeadHeadIsReplaced(t *testing.T) {
	needs(t, "nsenter")
	b := whole(t)
	dead := others(b.Leader(t))[0]
	alive := others(dead)[0]
	users := startLoad(t, b)
	users.workedThrough(t, heads...)
	fault(t, b, "kill", dead)
	state := filepath.Join(b.Dir, dead, "state")
	config := filepath.Join(b.Dir, dead, "head.toml")
	operate(t, b, alive, "head", "remove", dead)
	for range 2 { // it is told each time
		endsSaying(t, b, dead, "removed from the data center")
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(operate(t, b, alive, "token", "create", "--role", "head"))
	join := on(t.Context(), b, dead, "head", "join", "--config", config, address(t, b, alive)+":2376")
	join.Env = append(os.Environ(), "SPEARHEAD_TOKEN="+token)
	if out, err := join.CombinedOutput(); err != nil {
		t.Fatalf("head join: %v: %s", err, out)
	}
	again := on(t.Context(), b, dead, "head", "join", "--config", config, address(t, b, alive)+":2376")
	again.Env = join.Env
	if out, err := again.CombinedOutput(); err == nil {
		t.Errorf("a head joins a second time: %s", out)
	}
	fault(t, b, "start", dead)
	awaitWhole(t, b)
	users.workedThrough(t, heads...)
	users.settle(t, b)
	voters := 0
	for line := range strings.Lines(operate(t, b, alive, "head", "ls")) {
		if strings.Contains(line, "voter") || strings.Contains(line, "leader") {
			voters++
		}
	}
	if voters != len(heads) {
		t.Errorf("%d heads vote: %s", voters, operate(t, b, alive, "head", "ls"))
	}
}

// TestANodeJoinsByHand has a fourth node join as docs/operators/README.md says: by a token that
// does not approve it, so that nothing is placed there before an operator has agreed.
func TestANodeJoinsByHand(t *testing.T) {
	b := whole(t)
	joinSpare(t, b)
	var id string
	bed.Eventually(t, func() error {
		done := b.Try(t, "create", "-e", "affinity:zone==attic", b.Image, "sleep", "1000")
		if id = strings.TrimSpace(done.Stdout); done.Code != 0 {
			return fmt.Errorf("docker create: %s", done.Stderr)
		}
		return nil
	})
	if name := b.Inspect(t, id, "{{.Node.Name}}"); name != "spare" {
		t.Errorf("the container is on %s", name)
	}
	b.Docker(t, "rm", "-f", id)
}

// joinSpare has one more node join by hand, by a token that does not approve it, so that nothing is
// placed there before an operator has agreed. It is in the zone attic, shares node-3's kernel
// and goes when the test ends.
func joinSpare(t *testing.T, b *bed.Bed) {
	t.Helper()
	needs(t, "nsenter")
	spare, err := os.MkdirTemp(filepath.Join(b.Dir, "node-3"), "spare")
	if err != nil {
		t.Fatal(err)
	}
	agent := secondAgent(t, b, "node-3", "spare", spare)
	token := strings.TrimSpace(operate(t, b, "head-2", "token", "create", "--role", "node"))
	join := on(t.Context(), b, "node-3", "agent", "join", "--config", agent, address(t, b, "head-1")+":2376")
	join.Env = append(os.Environ(), "SPEARHEAD_TOKEN="+token)
	joined := make(chan error, 1)
	var said []byte
	go func() {
		var err error
		said, err = join.CombinedOutput()
		joined <- err
	}()
	bed.Eventually(t, func() error {
		if out := operate(t, b, "head-3", "node", "ls"); !strings.Contains(out, "spare") || !strings.Contains(out, "pending") {
			return fmt.Errorf("no node is pending: %s", out)
		}
		return nil
	})
	operate(t, b, "head-3", "node", "approve", "spare")
	if err := <-joined; err != nil {
		t.Fatalf("agent join: %v: %s", err, said)
	}
	operate(t, b, "head-1", "node", "set", "spare", "--overcommit-memory", "64", "--zone", "attic")
	run := startAgent(t, b, "node-3", agent)
	t.Cleanup(func() {
		stopAgent(run)
		for _, args := range [][]string{{"node", "lost", "spare", "--force"}, {"node", "remove", "spare", "--force"}} {
			if _, err := b.Spearhead(context.Background(), []string{"SPEARHEAD_SOCKET=" + b.Setting("SPEARHEAD_SOCKET")}, args...); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestF26TwoAgentsWithOneIdentity runs a copy of a node's identity on another machine (F26): the
// node is not disturbed, and its operator is told.
func TestF26TwoAgentsWithOneIdentity(t *testing.T) {
	needs(t, "nsenter")
	b := whole(t)
	id := counting(t, b, "undisturbed", "-e", "affinity:node==node-1")
	twin := filepath.Join(b.Dir, "node-2", "twin")
	if err := os.MkdirAll(twin, 0o700); err != nil {
		t.Fatal(err)
	}
	config := secondAgent(t, b, "node-2", "node-1", twin)
	if err := os.CopyFS(filepath.Join(twin, "pki"), os.DirFS(filepath.Join(b.Dir, "node-1", "pki"))); err != nil {
		t.Fatal(err)
	}
	run := startAgent(t, b, "node-2", config)
	t.Cleanup(func() { stopAgent(run) })
	bed.Eventually(t, func() error {
		if out := operate(t, b, "head-1", "node", "ls"); !strings.Contains(out, "8947") && !strings.Contains(out, "identity") {
			return fmt.Errorf("nobody is told of the copy: %s", out)
		}
		return nil
	})
	if err := started(t, b, id, 1); err != nil {
		t.Error(err)
	}
	if out := b.Docker(t, "run", "--rm", "-e", "affinity:node==node-1", b.Image, "echo", "works"); out != "works" {
		t.Errorf("docker run on the node says %q", out)
	}
}

// secondAgent writes the configuration of one more agent that shares a host's kernel, in dir.
func secondAgent(t *testing.T, b *bed.Bed, host, name, dir string) (config string) {
	t.Helper()
	at := address(t, b, host)
	lines := []string{
		fmt.Sprintf("name = %q", name),
		fmt.Sprintf("state_dir = %q", filepath.Join(dir, "state")),
		fmt.Sprintf("run_dir = %q", filepath.Join(b.RunDir(), host, filepath.Base(dir))),
		fmt.Sprintf("identity_dir = %q", filepath.Join(dir, "pki")),
		fmt.Sprintf("wire_listen = \"%s:8947\"", at),
		fmt.Sprintf("advertise = \"%s:8947\"", at),
		fmt.Sprintf("gossip_listen = \"%s:8946\"", at),
		"metrics_listen = \"\"",
		"network_prefix = \"tw\"",
		fmt.Sprintf("cgroup_parent = \"/spearhead-rack-%s/%s-%s\"", b.Index(), host, filepath.Base(dir)),
		"[storage]", "kind = \"overlay\"",
		"[images]", fmt.Sprintf("insecure_registries = [%q]", b.Address),
		"[nic_tags]", "external = \"ext0\"",
	}
	config = filepath.Join(dir, "agent.toml")
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// startAgent runs an agent on a host, with its log beside its configuration.
func startAgent(t *testing.T, b *bed.Bed, host, config string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(filepath.Dir(config), "agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	run := on(context.Background(), b, host, "agent", "run", "--config", config)
	run.Stdout, run.Stderr = log, log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	return run
}

func stopAgent(run *exec.Cmd) {
	_ = run.Process.Signal(os.Interrupt) // it may have ended
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = run.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(bed.Patience):
		_ = run.Process.Kill()
		<-ended
	}
}

func needs(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("needs %s", tool)
	}
}

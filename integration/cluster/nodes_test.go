package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// counting is a container that notes each of its starts, by name.
func counting(t *testing.T, b *bed.Bed, name string, options ...string) string {
	t.Helper()
	args := append([]string{"--name", name}, options...)
	id := b.Run(t, append(args, b.Image, "sh", "-c", "echo start >> /starts; exec sleep 1000")...)
	bed.Eventually(t, func() error { return started(t, b, id, 1) })
	return id
}

// TestP9ANodeCutOffRunsNothingTwice cuts a node off, which shows as unreachable, and heals it:
// its containers never stopped, run nowhere else and are all still known (F9 and F6).
func TestP9ANodeCutOffRunsNothingTwice(t *testing.T) {
	for _, c := range []struct{ name, breaks, mends string }{{"F9Cut", "cut", "heal"}, {"F6Frozen", "stop", "cont"}, {"F9Deaf", "deafen", "heal"}} {
		t.Run(c.name, func(t *testing.T) {
			b := whole(t)
			id := counting(t, b, "kept-"+strings.ToLower(c.name), "--restart", "always")
			pid, node := b.Inspect(t, id, "{{.State.Pid}}"), nodeOf(t, b, id)
			fault(t, b, c.breaks, node)
			began := time.Now()
			bed.Eventually(t, func() error { return unreachable(t, b, id) })
			t.Logf("all heads show it as unreachable after %s", since(began))
			if done := b.Try(t, "exec", id, "true"); done.Code == 0 {
				t.Error("docker exec works on a node that is cut off")
			}
			if done := b.Try(t, "run", "--rm", b.Image, "echo", "elsewhere"); done.Code != 0 {
				t.Errorf("docker run beside a node that is cut off: %s", done.Stderr)
			}
			fault(t, b, c.mends, node)
			bed.Eventually(t, func() error { return started(t, b, id, 1) })
			if now := b.Inspect(t, id, "{{.State.Pid}} {{.Node.Name}} {{.RestartCount}}"); now != pid+" "+node+" 0" {
				t.Errorf("the container is %q, it was process %s on %s", now, pid, node)
			}
			awaitWhole(t, b)
			nothingForgotten(t, b)
		})
	}
}

// TestP10F3F4AgentsAndSupervisorsDie kills every agent at once under load, and then every supervisor
// of containers: containers do not notice.
func TestP10F3F4AgentsAndSupervisorsDie(t *testing.T) {
	b := whole(t)
	pids := map[string]string{}
	for i := range 6 {
		id := counting(t, b, fmt.Sprintf("agents-%d", i))
		pids[id] = b.Inspect(t, id, "{{.State.Pid}}")
	}
	users := startLoad(t, b)
	users.workedThrough(t, heads...)
	nodes := []string{"node-1", "node-2", "node-3"}
	for _, node := range nodes {
		fault(t, b, "kill", node)
	}
	for _, node := range nodes {
		fault(t, b, "start", node)
	}
	users.workedThrough(t, heads...)
	for _, pid := range supervisors(t, b) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	users.workedThrough(t, heads...)
	users.settle(t, b)
	for id, pid := range pids {
		if now := b.Inspect(t, id, "{{.State.Pid}}"); now != pid {
			t.Errorf("%.12s runs as process %s, it was %s", id, now, pid)
		}
		if err := started(t, b, id, 1); err != nil {
			t.Error(err)
		}
	}
}

// supervisors are the processes that hold the containers of the rack's nodes: one of each.
func supervisors(t *testing.T, b *bed.Bed) (pids []int) {
	t.Helper()
	bed.Eventually(t, func() error {
		pids = nil
		folders, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, folder := range folders {
			line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
			words := strings.Split(string(line), "\x00")
			if len(words) < 3 || words[1] != "iod" || !strings.Contains(string(line), b.RunDir()+"/") {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(folder))
			if err != nil {
				return err
			}
			pids = append(pids, pid)
		}
		if len(pids) != 3 {
			return fmt.Errorf("%d supervisors run", len(pids))
		}
		return nil
	})
	return pids
}

// TestP11EndsAndOutputOutliveTheAgent: a container speaks and ends while its node's agent is dead.
func TestP11EndsAndOutputOutliveTheAgent(t *testing.T) {
	b := whole(t)
	id := b.Run(t, b.Image, "sh", "-c", "echo before; sleep 3; echo after; exit 37")
	pid, node := b.Inspect(t, id, "{{.State.Pid}}"), nodeOf(t, b, id)
	fault(t, b, "kill", node)
	bed.Eventually(t, func() error {
		if _, err := os.Stat("/proc/" + pid); err == nil {
			return fmt.Errorf("process %s of the container is there still", pid)
		}
		return nil
	})
	fault(t, b, "start", node)
	awaitWhole(t, b)
	for _, head := range heads {
		if code := b.Through(t, head).Docker(t, "wait", id); code != "37" {
			t.Errorf("docker wait through %s says %s", head, code)
		}
		if out := b.Through(t, head).Docker(t, "logs", id); out != "before\nafter" {
			t.Errorf("docker logs through %s: %q", head, out)
		}
	}
}

// TestP12F27ContainersAreWhereTheirDiskIs takes from a node everything but its disk (F27), as if that
// was put into another machine: containers with a restart policy come back with their files and
// addresses, others are told to have ended.
func TestP12F27ContainersAreWhereTheirDiskIs(t *testing.T) {
	b := whole(t)
	first := counting(t, b, "power-always", "--restart", "always")
	node := nodeOf(t, b, first)
	second := counting(t, b, "power-never", "-e", "affinity:container==power-always")
	if now := nodeOf(t, b, second); now != node {
		t.Fatalf("they are on %s and %s", node, now)
	}
	address := b.AddressOf(t, first)
	fault(t, b, "crash", node)
	fault(t, b, "start", node)
	bed.Eventually(t, func() error { return started(t, b, first, 2) })
	bed.Eventually(t, func() error { return b.Exited(t, second) })
	if now := b.AddressOf(t, first); now != address {
		t.Errorf("it has the address %s, it had %s", now, address)
	}
	b.Docker(t, "start", second)
	bed.Eventually(t, func() error { return started(t, b, second, 2) })
	awaitWhole(t, b)
	nothingForgotten(t, b)
}

// TestAffinityUnderConcurrency is the promise that triton could not give: of ten containers
// created at once that each want no other of their kind beside them, three nodes get three.
func TestAffinityUnderConcurrency(t *testing.T) {
	b := whole(t)
	t.Cleanup(func() { removeNamed(t, b, "^/apart-") })
	b.Docker(t, "pull", "-q", b.Image)
	var creating sync.WaitGroup
	done := make([]answer, 10)
	for i := range done {
		caller := newAPI(t, b.Through(t, heads[i%len(heads)]))
		creating.Go(func() {
			done[i] = caller.call(t.Context(), time.Minute, "POST", fmt.Sprintf("/containers/create?name=apart-%d", i), map[string]any{
				"Image": b.Image, "Cmd": []string{"true"}, "Labels": map[string]string{"app": "web"}, "Env": []string{"affinity:app!=web"},
			})
		})
	}
	creating.Wait()
	made := 0
	for _, a := range done {
		switch a.status {
		case 201:
			made++
		case 503, 409:
		default:
			t.Errorf("a refusal has the status %d: %.300s", a.status, a.body)
		}
	}
	nodes := map[string]bool{}
	for _, id := range strings.Fields(b.Docker(t, "ps", "-aq", "--filter", "label=app=web")) {
		nodes[nodeOf(t, b, id)] = true
	}
	if made != 3 || len(nodes) != 3 {
		t.Errorf("%d containers were made, on the nodes %v", made, nodes)
	}
}

// unreachable is nil when every head shows a container's node as unreachable.
func unreachable(t *testing.T, b *bed.Bed, id string) error {
	t.Helper()
	for _, head := range heads {
		status := b.Through(t, head).Docker(t, "ps", "-a", "--no-trunc", "--filter", "id="+id, "--format", "{{.Status}}")
		if !strings.HasSuffix(status, "(unreachable)") {
			return fmt.Errorf("%s shows the container as %q", head, status)
		}
	}
	return nil
}

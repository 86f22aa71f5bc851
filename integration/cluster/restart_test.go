package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestP18RollingUpgradeWithoutAFailedCall replaces the program of each head by one of another version,
// one after the other, while clients call each head: none of their calls fails but those of
// whom the connection itself was refused or broken, which clients send again elsewhere. Then
// the nodes follow, and containers run on.
func TestP18RollingUpgradeWithoutAFailedCall(t *testing.T) {
	b := whole(t)
	next := filepath.Join(filepath.Dir(setting.Binary), filepath.Base(setting.Binary)+"-next")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-X main.version="+nextVersion, "-o", next,
		"github.com/spearheadcloud/spearhead/cmd/spearhead")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v: %s", err, out)
	}
	kept := counting(t, b, "upgraded")
	pid := b.Inspect(t, kept, "{{.State.Pid}}")
	t.Cleanup(func() { removeNamed(t, b, "^/rolling-") })
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var mu sync.Mutex
	calls, moved := 0, 0
	for i := range heads {
		var callers []*api
		for j := range heads {
			callers = append(callers, newAPI(t, b.Through(t, heads[(i+j)%len(heads)])))
		}
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("rolling-%d-%d", i, n)
				for at, way := range []struct {
					method, path string
					body         any
					want         int
				}{
					{"POST", "/containers/create?name=" + name, map[string]any{"Image": b.Image, "Cmd": []string{"true"}}, 201},
					{"GET", "/containers/" + name + "/json", nil, 200},
					{"DELETE", "/containers/" + name, nil, 204},
				} {
					a, elsewhere := callSomewhere(t, callers, way.method, way.path, way.body)
					mu.Lock()
					calls, moved = calls+1, moved+elsewhere
					mu.Unlock()
					// A call whose connection broke may have been carried out already.
					again := elsewhere > 0 && (at == 0 && a.status == 409 || at == 2 && a.status == 404)
					if a.status != way.want && !again {
						t.Errorf("%s %s: status %d: %.300s", way.method, way.path, a.status, a.body)
					}
				}
			}
		})
	}
	for _, head := range heads {
		upgrade(t, b, head, next)
		awaitWhole(t, b)
	}
	close(stop)
	clients.Wait()
	t.Logf("%d calls, of which %d went on through another head", calls, moved)
	for _, node := range []string{"node-1", "node-2", "node-3"} {
		upgrade(t, b, node, next)
	}
	awaitWhole(t, b)
	for _, command := range []string{"head", "node"} {
		if out := operate(t, b, "head-1", command, "ls"); strings.Count(out, nextVersion) != 3 {
			t.Errorf("%s ls: %s", command, out)
		}
	}
	if now := b.Inspect(t, kept, "{{.State.Pid}}"); now != pid {
		t.Errorf("the container runs as process %s, it was %s", now, pid)
	}
	nothingForgotten(t, b)
}

// nextVersion is what a machine says of itself after its upgrade.
const nextVersion = "v9.9.9"

// upgrade stops a host's daemon in good order and starts that of another program.
func upgrade(t *testing.T, b *bed.Bed, host, program string) {
	t.Helper()
	if err := syscall.Kill(b.Pid(t, host), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	bed.Eventually(t, func() error {
		for _, h := range b.Hosts(t) {
			if h.Name == host && h.State != "dead" {
				return fmt.Errorf("%s is %s", host, h.State)
			}
		}
		return nil
	})
	if out, err := exec.CommandContext(t.Context(), program, "dev", "up", "--dir", b.Dir).CombinedOutput(); err != nil {
		t.Fatalf("dev up: %v: %s", err, out)
	}
}

// callSomewhere calls the first head that takes the connection.
func callSomewhere(t *testing.T, callers []*api, method, path string, body any) (a answer, elsewhere int) {
	t.Helper()
	for i, caller := range callers {
		if a = caller.call(t.Context(), bed.Patience, method, path, body); a.status > 0 {
			return a, i
		}
	}
	return a, len(callers)
}

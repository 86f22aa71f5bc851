package cluster

import (
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestRollingRestartWithoutAFailedCall stops each head in good order and starts it again, one
// after the other, as an upgrade does, while clients call each head: none of their calls fails
// but those of whom the connection itself was refused, which clients send again elsewhere.
func TestRollingRestartWithoutAFailedCall(t *testing.T) {
	b := whole(t)
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
		if err := syscall.Kill(b.Pid(t, head), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		bed.Eventually(t, func() error {
			for _, h := range b.Hosts(t) {
				if h.Name == head && h.State != "dead" {
					return fmt.Errorf("%s is %s", head, h.State)
				}
			}
			return nil
		})
		fault(t, b, "start", head)
		awaitWhole(t, b)
	}
	close(stop)
	clients.Wait()
	t.Logf("%d calls, of which %d went on through another head", calls, moved)
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

package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// step is what a client asked about one name, and what it was answered.
type step struct {
	name string
	do   string // create, inspect or remove
	mark string // of the container that a create makes, or that an inspection found
	came outcome
}

type outcome int

const (
	unknown outcome = iota // no answer, or one that says that the outcome is not known
	found                  // created, there, or removed
	absent                 // there is none of that name
	refused                // nothing was done, and nothing is said about what there is
)

// names is the model: a name has the mark of its container, or "". A step whose outcome is not
// known may have come into force at any time, or never.
var names = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, op := range history {
			byName[op.Input.(step).name] = append(byName[op.Input.(step).name], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byName {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{""} },
	Step: func(state, input, _ any) []any {
		has, s := state.(string), input.(step)
		switch {
		case s.came == refused:
			return []any{has}
		case s.came == unknown && s.do == "create" && has == "":
			return []any{has, s.mark}
		case s.came == unknown && s.do == "remove":
			return []any{has, ""}
		case s.came == unknown:
			return []any{has}
		case s.do == "create" && has == "":
			return []any{s.mark}
		case s.do == "inspect" && s.came == found && has == s.mark, s.do == "inspect" && s.came == absent && has == "":
			return []any{has}
		case s.do == "remove" && s.came == found, s.do == "remove" && s.came == absent && has == "":
			return []any{""} // of two who remove one container both succeed
		}
		return nil
	},
	DescribeOperation: func(input, _ any) string {
		s := input.(step)
		return fmt.Sprintf("%s %s %q", s.do, []string{"?", "yes", "none", "refused"}[s.came], s.mark)
	},
}

// history is what happened, in the order of its endings.
type history struct {
	prefix string        // of the names
	most   int           // steps: it keeps the check short
	pause  time.Duration // of a client between two of its steps
	seed   uint64
	began  time.Time

	mu  sync.Mutex
	ops []porcupine.Operation
}

func newHistory(t *testing.T, prefix string, most int, pause time.Duration) *history {
	h := &history{prefix: prefix, most: most, pause: pause, began: time.Now()}
	h.seed = uint64(h.began.UnixNano())
	t.Logf("seed %d", h.seed)
	return h
}

// join has one more client take steps through a head until stop is closed.
func (h *history) join(running *sync.WaitGroup, t *testing.T, through *bed.Bed, id int, stop <-chan struct{}) {
	caller := newAPI(t, through)
	draw := rand.New(rand.NewPCG(h.seed, uint64(id)))
	running.Go(func() { h.client(t, through.Image, caller, id, draw, stop) })
}

// TestP2NamesAreLinearizable has clients create, inspect and remove containers of a few names
// through all heads while heads are killed, frozen and parted from each other, and checks
// that all of it could have happened one after the other.
func TestP2NamesAreLinearizable(t *testing.T) {
	b := whole(t)
	t.Cleanup(func() { removeNamed(t, b, "^/lin-") })
	h := newHistory(t, "lin", 2000, 10*time.Millisecond)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 6 {
		h.join(&clients, t, b.Through(t, heads[i%len(heads)]), i, stop)
	}
	draw := rand.New(rand.NewPCG(h.seed, 99))
	for _, c := range []struct{ breaks, mends string }{
		{"kill", "start"}, {"stop", "cont"}, {"isolate", "heal"}, {"mute", "heal"}, {"deafen", "heal"},
	} {
		head := heads[draw.IntN(len(heads))]
		if draw.IntN(3) > 0 {
			head = b.Leader(t)
		}
		during(t, h, 30)
		fault(t, b, c.breaks, head)
		during(t, h, 40)
		fault(t, b, c.mends, head)
	}
	during(t, h, 60)
	close(stop)
	clients.Wait()
	h.check(t)
}

// during waits until so many more steps have been taken, or for a while.
func during(t *testing.T, h *history, steps int) {
	t.Helper()
	h.mu.Lock()
	goal := len(h.ops) + steps
	h.mu.Unlock()
	_ = bed.Poll(t.Context(), 8*time.Second, func() error { // fewer steps are fine
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.ops) < goal {
			return fmt.Errorf("%d steps, not %d", len(h.ops), goal)
		}
		return nil
	})
}

// client takes steps until it is stopped. Names change after a while, so that steps with
// unknown outcomes do not pile up.
func (h *history) client(t *testing.T, image string, caller *api, id int, draw *rand.Rand, stop <-chan struct{}) {
	again := time.NewTicker(h.pause)
	defer again.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-again.C:
		}
		h.mu.Lock()
		taken := len(h.ops)
		h.mu.Unlock()
		if taken >= h.most {
			return
		}
		s := step{name: fmt.Sprintf("%s-%d-%d", h.prefix, taken/100, draw.IntN(4)), do: []string{"create", "inspect", "inspect", "remove"}[draw.IntN(4)]}
		called := time.Since(h.began)
		var a answer
		switch s.do {
		case "create":
			s.mark = fmt.Sprintf("%d.%d", id, n)
			a = caller.call(t.Context(), 15*time.Second, "POST", "/containers/create?name="+s.name, map[string]any{
				"Image": image, "Cmd": []string{"true"}, "Labels": map[string]string{"mark": s.mark},
			})
			s.came = map[int]outcome{201: found, 409: refused}[a.status]
		case "inspect":
			a = caller.call(t.Context(), 15*time.Second, "GET", "/containers/"+s.name+"/json", nil)
			s.came = map[int]outcome{200: found, 404: absent}[a.status]
			var c struct {
				Config struct{ Labels map[string]string }
			}
			if s.came == found && json.Unmarshal(a.body, &c) == nil {
				s.mark = c.Config.Labels["mark"]
			}
		case "remove":
			a = caller.call(t.Context(), 15*time.Second, "DELETE", "/containers/"+s.name+"?force=1", nil)
			s.came = map[int]outcome{204: found, 404: absent, 409: refused}[a.status]
		}
		if a.status == unsent { // the head is down: nothing was asked
			continue
		}
		h.note(id, s, called)
	}
}

func (h *history) note(client int, s step, called time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.came == unknown && s.do == "inspect" {
		return // nothing was learned
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: s, Call: int64(called), Output: s.came, Return: int64(time.Since(h.began))})
}

// forever is later than everything that happened.
const forever = int64(time.Hour)

func (h *history) check(t *testing.T) {
	t.Helper()
	counts := map[string]int{}
	for i := range h.ops {
		s := h.ops[i].Input.(step)
		counts[fmt.Sprintf("%s:%s", s.do, []string{"unknown", "yes", "none", "refused"}[s.came])]++
		if s.came == unknown { // it may come into force at any time, and its client has gone on
			h.ops[i].Return, h.ops[i].ClientId = forever, 1000+i
		}
	}
	t.Logf("%d steps: %v", len(h.ops), counts)
	model := names.ToModel()
	result, info := porcupine.CheckOperationsVerbose(model, h.ops, 60*time.Second)
	switch result {
	case porcupine.Ok:
		return
	case porcupine.Unknown: // nothing wrong was found
		t.Log("the check was not done in time")
		return
	}
	path := filepath.Join(cmp.Or(os.Getenv("TEST_ARTIFACTS"), os.TempDir()), "spearhead-names.html")
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		t.Error(err)
	}
	t.Errorf("what the clients saw is not linearizable (%s): see %s", result, path)
}

package circle_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// doing is one request about a name.
type doing struct {
	what string // create, get or remove
	name string
}

// found is its answer. id is "" when there is no container. An unknown answer
// is of a request that may have been carried out, or may yet be.
type found struct {
	id      string
	unknown bool
	refused bool
}

// oneCopy is what names are to behave like: each is one place that holds a
// container's id or nothing. A creation whose answer is unknown leaves an id
// that nobody has heard of; "?" stands for it. A creation that is refused says
// nothing: a name is taken a little before its container is there. A removal is
// of the container that it found; another one may have been quicker.
var oneCopy = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, op := range history {
			name := op.Input.(doing).name
			byName[name] = append(byName[name], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byName {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{""} },
	Step: func(state, in, out any) []any {
		held, did, got := state.(string), in.(doing), out.(found)
		is := held == got.id || held == "?" && got.id != ""
		switch {
		case did.what == "create" && got.unknown && held == "":
			return []any{"", "?"}
		case did.what == "remove" && got.unknown:
			return []any{held, ""}
		case got.unknown || did.what == "create" && got.refused:
			return []any{held}
		case did.what == "create":
			return only(got.id, held == "")
		case did.what == "remove" && !got.refused:
			if is {
				return []any{""}
			}
			return []any{held}
		}
		return only(got.id, is) // what was looked for, and may not be there
	},
}

func only(state string, possible bool) []any {
	if !possible {
		return nil
	}
	return []any{state}
}

// carry carries one request out through a head.
func carry(ctx context.Context, h *headtest.Head, a model.Account, d doing) found {
	if err := h.Circle.Heads.Fresh(ctx); err != nil {
		return found{unknown: true} // nothing was done; that is one of the two
	}
	switch d.what {
	case "create":
		c, _, err := h.Containers.Create(ctx, a, request(d.name))
		return found{id: c.ID, refused: model.IsKind(err, model.KindConflict), unknown: err != nil && !model.IsKind(err, model.KindConflict)}
	case "remove":
		c, err := h.Containers.Get(ctx, a, d.name)
		if err == nil {
			err = h.Containers.Remove(ctx, a, c.ID, wire.RemoveRequest{Force: true})
		}
		missing := model.IsKind(err, model.KindNotFound)
		return found{id: c.ID, refused: missing && c.ID == "", unknown: err != nil && !missing}
	}
	c, err := h.Containers.Get(ctx, a, d.name)
	return found{id: c.ID, unknown: err != nil && !model.IsKind(err, model.KindNotFound)}
}

func TestP2NamesAreLinearizableWhileLeadersDie(t *testing.T) {
	t.Parallel()
	const clients, names = 6, 3
	r, a := ring(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var mu sync.Mutex
	var history []porcupine.Operation
	var working sync.WaitGroup
	began := time.Now()
	up := r.Followers() // both live to the end
	for client := range clients {
		working.Go(func() {
			for ctx.Err() == nil {
				d := doing{[]string{"create", "get", "get", "remove"}[rand.IntN(4)], fmt.Sprintf("web-%d", rand.IntN(names))}
				call := time.Since(began).Nanoseconds()
				out := carry(headtest.Context(t), up[client%2], a, d)
				end := time.Since(began).Nanoseconds()
				if out.unknown {
					end = 1 << 62 // it may yet happen
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: d, Call: call, Output: out, Return: end})
				mu.Unlock()
			}
		})
	}
	<-time.After(time.Second) // of work before
	r.Leader().Kill()
	working.Wait()
	unknown := 0
	for _, op := range history {
		if op.Output.(found).unknown {
			unknown++
		}
	}
	oneModel := oneCopy.ToModel()
	switch porcupine.CheckOperationsTimeout(oneModel, history, 20*time.Second) {
	case porcupine.Illegal:
		t.Errorf("%d requests, %d of them of unknown outcome, cannot have been answered by one copy", len(history), unknown)
	case porcupine.Unknown:
		t.Logf("%d requests are too many to judge in time", len(history))
	}
	t.Logf("%d requests, %d of them of unknown outcome", len(history), unknown)
}

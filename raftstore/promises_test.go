package raftstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// TestP1AcknowledgedWritesSurviveTheDeathOfAllHeads kills a process of three
// heads while it writes, again and again.
func TestP1AcknowledgedWritesSurviveTheDeathOfAllHeads(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for round, until := range []int{0, 100} {
		last := runUntilKilled(t, childHeads, base, until)
		r := ringIn(t, base)
		view, err := r.fresh(t.Context(), r.leader())
		if err != nil {
			t.Fatal(err)
		}
		for i := range last + 1 {
			if _, ok := view.Setting(fmt.Sprintf("s%d", i)); !ok {
				t.Fatalf("round %d: write %d was acknowledged and is lost", round, i)
			}
		}
		r.converge(r.heads...)
		for _, m := range r.heads {
			r.stop(m)
		}
	}
}

// ringIn makes or starts again three heads with files below base.
func ringIn(t testing.TB, base string) *ring {
	r := &ring{t: t}
	for i := range 3 {
		m := &member{id: fmt.Sprintf("head-%d", i), dir: fmt.Sprintf("%s/%d", base, i)}
		_, err := os.Stat(m.dir)
		r.heads = append(r.heads, m)
		r.start(m)
		if i > 0 && err != nil {
			r.join(m)
		}
	}
	return r
}

// The names of a data center, as many clients see them through all heads: each
// is held by at most one container, and nobody sees less than was acknowledged.
type nameInput struct {
	name string
	id   string // of the container to create, or to remove
	op   string // create, remove or get
}

type nameOutput struct {
	id      string // of the holder, for get
	done    bool   // the write came into force
	unknown bool   // whether it did is not known
}

// names is the model: a name's holder, "" for none.
var names = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, o := range history {
			name := o.Input.(nameInput).name
			byName[name] = append(byName[name], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byName {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{""} },
	Step: func(state, input, output any) []any {
		holder, in, out := state.(string), input.(nameInput), output.(nameOutput)
		next, possible := holder, true
		switch in.op {
		case "get":
			possible = out.id == holder
		case "create":
			if holder == "" {
				next = in.id
			}
			possible = out.unknown || out.done == (holder == "")
		case "remove":
			if holder == in.id {
				next = ""
			}
		}
		if !possible {
			return nil
		}
		if out.unknown {
			return []any{holder, next}
		}
		return []any{next}
	},
}

// TestP2NamesAreLinearizable lets clients create, remove and look up containers
// of few names through any head, while leaders are cut off and handed on.
func TestP2NamesAreLinearizable(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRing(t, 3)
	mustPropose(t, r.leader().Store, account(0), node())
	var (
		history  sync.Map // of porcupine.Operation by number
		count    atomic.Int64
		clients  sync.WaitGroup
		ids      atomic.Int64
		began    = time.Now()
		finished = make(chan struct{})
	)
	for client := range 5 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			var mine []nameInput
			for count.Load() < 1500 {
				in := nameInput{name: fmt.Sprintf("name-%d", random.IntN(4)), op: "get"}
				switch n := random.IntN(4); {
				case n == 0:
					in.op, in.id = "create", fmt.Sprintf("%064x", ids.Add(1))
				case n == 1 && len(mine) > 0:
					in = mine[0]
					in.op, mine = "remove", mine[1:]
				}
				call := time.Since(began)
				out, ok := r.operate(t, in, random)
				if !ok {
					continue // a read that was refused says nothing
				}
				if in.op == "create" && (out.done || out.unknown) {
					mine = append(mine, in)
				}
				done := time.Since(began)
				if out.unknown {
					done = time.Hour // it may come into force whenever
				}
				history.Store(count.Add(1), porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out, Return: int64(done)})
			}
		})
	}
	go func() {
		clients.Wait()
		close(finished)
	}()
	r.disturb(finished, rand.New(rand.NewPCG(seed, 99)))
	var operations []porcupine.Operation
	history.Range(func(_, o any) bool {
		operations = append(operations, o.(porcupine.Operation))
		return true
	})
	model := names.ToModel()
	result, info := porcupine.CheckOperationsVerbose(model, operations, 60*time.Second)
	if result == porcupine.Illegal {
		path := os.TempDir() + "/names.html"
		t.Errorf("the history of %d operations is not linearizable; see %s: %v", len(operations), path, porcupine.VisualizePath(model, info, path))
	}
	r.converge(r.heads...)
}

// operate carries out one operation through a head that random picks. It is
// false if nothing can be said.
func (r *ring) operate(t *testing.T, in nameInput, random *rand.Rand) (nameOutput, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if in.op == "get" {
		view, err := r.fresh(ctx, r.heads[random.IntN(len(r.heads))])
		if err != nil {
			return nameOutput{}, false
		}
		c, _ := view.ContainerByName("account-0", in.name)
		return nameOutput{id: c.ID}, true
	}
	var c command.Command = command.ReleaseContainer{ID: in.id}
	if in.op == "create" {
		c = command.ReserveContainer{Container: model.Container{
			ID: in.id, Name: in.name, AccountID: "account-0", NodeID: "node-1", Created: epoch,
		}}
	}
	_, err := r.request(ctx, in.op+in.id, c)
	if err != nil && !errors.Is(err, ErrUnknownOutcome) && !model.IsKind(err, model.KindConflict) {
		t.Errorf("%s: %v", in.op, err)
	}
	return nameOutput{done: err == nil, unknown: errors.Is(err, ErrUnknownOutcome)}, true
}

// disturb cuts leaders off, lets them back and hands the lead on, until ended is
// closed.
func (r *ring) disturb(ended <-chan struct{}, random *rand.Rand) {
	var away *member
	tick := time.NewTicker(700 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			if away != nil {
				r.cut(away, false)
			}
			return
		case <-tick.C:
		}
		i := slices.IndexFunc(r.heads, func(m *member) bool { return m.IsLeader() && !m.cut.Load() })
		switch {
		case away != nil:
			r.cut(away, false)
			away = nil
		case i < 0:
		case random.IntN(3) == 0:
			r.heads[i].handOn()
		default:
			away = r.heads[i]
			r.cut(away, true)
		}
	}
}

// TestP3UnknownOutcomesAreSettledByARepetition loses the lead in the middle of a
// write.
func TestP3UnknownOutcomesAreSettledByARepetition(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	mustPropose(t, r.leader().Store, account(1), node(), network())
	old := r.leader()
	acknowledged := r.mustRequest("first", container(1))

	r.cut(old, true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := old.ProposeAs(ctx, "second", container(11)); !errors.Is(err, ErrUnknownOutcome) && !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a write whose leader is cut off got %v", err)
	}
	again := r.mustRequest("second", container(11))
	if once := r.mustRequest("second", container(11)); once != again {
		t.Errorf("a repetition came into force at %d and at %d", again.Index, once.Index)
	}
	if once := r.mustRequest("first", container(1)); once != acknowledged {
		t.Errorf("what was acknowledged at %d is at %d when it is repeated with the next leader", acknowledged.Index, once.Index)
	}
	_, first := r.request(ctx, "third", command.RenameContainer{ID: container(1).Container.ID, Name: "container-11"})
	_, second := r.request(ctx, "third", command.RenameContainer{ID: container(1).Container.ID, Name: "container-11"})
	if !model.IsKind(first, model.KindConflict) || model.UserText(first) != model.UserText(second) {
		t.Errorf("a refused write got %v and then %v", first, second)
	}
	r.cut(old, false)
	r.converge(r.heads...)
	if n := len(old.View().AllContainers()); n != 2 {
		t.Errorf("there are %d containers", n)
	}
}

// What only a newer head understands is refused before it reaches the log,
// where it would end every head of this version.
func TestNewerCommandsAreRefused(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	if _, err := s.ProposeEncoded(t.Context(), []byte(`{"n":999,"v":1,"c":{}}`)); !model.IsKind(err, model.KindNotImplemented) {
		t.Errorf("got %v", err)
	}
	mustPropose(t, s, account(1))
}

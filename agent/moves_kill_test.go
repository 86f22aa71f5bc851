package agent_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Either agent dies before and after each single thing that it does while a
// container moves. Whoever asks again for what failed has one whole container in
// the end, on the new node, and nothing of it on the old one.
func TestAgentsThatDieInAMove(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"the old node", "the new node"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			for killAt := 1; !t.Failed(); killAt++ {
				if !dieInMove(t, victim == "the old node", killAt) {
					t.Logf("it has %d places to die at", killAt-1)
					return
				}
			}
		})
	}
}

// mortality is a move in which one agent dies.
type mortality struct {
	*pair
	old  bool // it is that of the old node
	life *kerneltest.Life
	died bool
}

// dieInMove moves a container while one agent dies at a step, and reports
// whether the move was not over before that.
func dieInMove(t *testing.T, old bool, killAt int) (died bool) {
	m := &mortality{old: old, life: kerneltest.NewLife(0)}
	if old {
		m.pair = newPair(t, m.life, nil)
	} else {
		m.pair = newPair(t, nil, m.life)
	}
	t.Cleanup(func() {
		if !m.died {
			m.life.Bury()
		}
	})
	m.putAll(t, "early")
	m.life.DieIn(killAt)
	for _, step := range m.way(t) {
		m.take(t, step)
	}
	// What is let go of may be let go of later; and over that it may die, too.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		m.reviveDead(t)
		err := m.moved()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("killed at step %d: %v", killAt, err)
		}
	}
	if got := m.came(t); got != "late" {
		t.Errorf("killed at step %d: %q has come", killAt, got)
	}
	for _, n := range []*node{m.from, m.to} {
		if violations := n.kernel.Violations(); len(violations) > 0 {
			t.Errorf("killed at step %d: %v", killAt, violations)
		}
	}
	return m.died
}

// moved tells what is missing of one container that runs on the new node.
func (m *mortality) moved() error {
	ctx := context.Background()
	there, err := m.to.Containers(ctx)
	if err != nil || len(there) != 1 || !there[0].State.Status.Running() || m.to.kernel.Pid(m.id()) == 0 {
		return fmt.Errorf("the new node has %+v, %v", there, err)
	}
	here, err := m.from.Containers(ctx)
	if err != nil || len(here) != 0 {
		return fmt.Errorf("the old node has %+v, %v", here, err)
	}
	if holds := m.from.kernel.Holds(); len(holds) > 0 {
		return fmt.Errorf("the old node holds %v", holds)
	}
	return nil
}

// take takes a step, and again with a new agent if one dies over it.
func (m *mortality) take(t *testing.T, step func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- step(ctx) }()
	dies := m.life.Dead()
	if m.died {
		dies = nil
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-dies:
		m.revive(t, func() { cancel(); m.life.Bury(); <-ended })
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// reviveDead starts a new agent if one has died.
func (m *mortality) reviveDead(t *testing.T) {
	t.Helper()
	if m.died {
		return
	}
	select {
	case <-m.life.Dead():
		m.revive(t, m.life.Bury)
	default:
	}
}

// revive starts a new agent on what the dead one has left.
func (m *mortality) revive(t *testing.T, bury func()) {
	t.Helper()
	dead, open := m.to, m.openTo
	if m.old {
		dead, open = m.from, m.openFrom
	}
	records := copyRecords(t, dead.dir)
	bury()
	dead.Close()
	open(records, nil)
	m.died = true
}

// way is what the leader asks the two nodes for, one after the other.
func (p *pair) way(t *testing.T) []func(context.Context) error {
	arrives, zero := p.fetch.Create, 0
	arrives.Container.State = model.ContainerState{Status: model.StatusExited, ExitCode: 143}
	fetch := func(ctx context.Context) error {
		if err := p.from.OfferContainer(ctx, p.id(), wire.OfferRequest{To: newNode}); err != nil {
			return err
		}
		_, err := p.to.FetchContainer(ctx, p.fetch)
		return err
	}
	return []func(context.Context) error{
		fetch,
		func(ctx context.Context) error {
			p.putAll(t, "late")
			return second(p.from.DepartContainer(ctx, p.id(), wire.StopRequest{}))
		},
		fetch,
		func(ctx context.Context) error { return second(p.to.ArriveContainer(ctx, arrives)) },
		func(ctx context.Context) error {
			return second(p.to.StayContainer(ctx, p.id(), wire.StayRequest{Start: true}))
		},
		func(ctx context.Context) error {
			err := second(p.from.Remove(ctx, p.id(), wire.RemoveRequest{Force: true, Generation: &zero}))
			if model.IsKind(err, model.KindNotFound) {
				return nil
			}
			return err
		},
	}
}

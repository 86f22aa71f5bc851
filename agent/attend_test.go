package agent_test

import (
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"log/slog"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/agent/standing"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// sinceBoot is the clock of a bubble's machine.
type sinceBoot struct{ began time.Time }

func (c sinceBoot) Boot() string       { return "boot" }
func (c sinceBoot) Now() time.Duration { return time.Since(c.began) }

// anonymous is a member that nobody knows.
type anonymous struct{}

func (anonymous) Refuse(func(pki.Role, string) bool) {}
func (anonymous) Keyring() int                       { return 0 }
func (anonymous) SetKeyring(model.Keyring) error     { return nil }
func (anonymous) Request() ([]byte, error)           { return nil, nil }
func (anonymous) Renew([]byte) error                 { return nil }

// stopAfter is that of the nodes of these tests.
const stopAfter = time.Minute

// attended runs f with an agent whose standing is kept, and for which no real
// time passes.
func attended(t *testing.T, f func(t *testing.T, n *node)) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keeper, err := standing.Open(standing.Config{
			File: filepath.Join(dir, "standing.json"), StopAfter: stopAfter, Clock: sinceBoot{time.Now()}, Process: "p",
			Member: anonymous{}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		n := open(t, kerneltest.New(), nil, dir, func(o *agent.Options) { o.Standing = keeper })
		defer n.kernel.Shutdown()
		defer n.Close()
		f(t, n)
		if v := n.kernel.Violations(); len(v) > 0 {
			t.Errorf("the drivers were misused: %v", v)
		}
	})
}

// lease gives the node a lease from now on.
func (n *node) lease(t *testing.T) wire.Standing {
	t.Helper()
	first, err := n.Attend(t.Context(), wire.Attention{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Attend(t.Context(), wire.Attention{Mark: first.Mark})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatMayRunElsewhereEndsWithTheLease(t *testing.T) {
	attended(t, func(t *testing.T, n *node) {
		n.lease(t)
		stays := created(t, n, func(s *model.ContainerSpec) { s.Restart.Name = "always" })
		moves := createdWith(t, n, 3, func(s *model.ContainerSpec) {
			s.Restart.Name, s.Labels = "always", map[string]string{model.LabelReschedule: "true"}
		})
		if s := n.lease(t); s.Fenced || len(s.Held) != 1 || s.Held[0] != (wire.Held{ID: moves, Generation: 3}) {
			t.Errorf("the node stands as %+v", s)
		}
		time.Sleep(stopAfter + 30*time.Second)
		synctest.Wait()
		if n.kernel.Pid(moves) != 0 || n.kernel.Pid(stays) == 0 {
			t.Errorf("cut off, what may run elsewhere has pid %d, what stays %d", n.kernel.Pid(moves), n.kernel.Pid(stays))
		}
		if _, err := n.Start(t.Context(), moves); !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("it was started: %v", err)
		}
		n.lease(t)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n.kernel.Pid(moves) == 0 {
			t.Error("it does not run again although the node is back")
		}
	})
}

func TestWhatAUserHadStoppedStaysSo(t *testing.T) {
	attended(t, func(t *testing.T, n *node) {
		n.lease(t)
		id := createdWith(t, n, 0, func(s *model.ContainerSpec) { s.Labels = map[string]string{model.LabelReschedule: "true"} })
		var stopping sync.WaitGroup
		stopping.Go(func() { must(t)(n.Stop(t.Context(), id, wire.StopRequest{})) })
		stopping.Wait()
		time.Sleep(2 * stopAfter)
		n.lease(t)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n.kernel.Pid(id) != 0 {
			t.Error("it was started")
		}
	})
}

// createdWith is created with a generation.
func createdWith(t *testing.T, n *node, generation int, change func(*model.ContainerSpec)) string {
	t.Helper()
	r := wiretest.Request()
	r.Container.Generation = generation
	change(&r.Container.Spec)
	must(t)(n.Create(t.Context(), r))
	must(t)(n.Start(t.Context(), r.Container.ID))
	return r.Container.ID
}

func TestACopyIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	r := wiretest.Request()
	r.Container.Generation = 2
	must(t)(n.Create(t.Context(), r))
	must(t)(n.Create(t.Context(), r)) // the same again
	for _, generation := range []int{1, 3} {
		r.Container.Generation = generation
		if _, err := n.Create(t.Context(), r); !model.IsKind(err, model.KindConflict) {
			t.Errorf("generation %d beside generation 2: %v", generation, err)
		}
	}
}

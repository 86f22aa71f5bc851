package standing

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubbleClock is that of a machine whose time is the bubble's.
type bubbleClock struct {
	boot  string
	began time.Time
}

func (c bubbleClock) Boot() string       { return c.boot }
func (c bubbleClock) Now() time.Duration { return time.Since(c.began) }

// machineOf is a node that the tests look at.
type machineOf struct {
	mu      sync.Mutex
	running map[string]bool
	keyring model.Keyring
	gone    func(pki.Role, string) bool
	renewed []byte
}

func (m *machineOf) Running() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for id, running := range m.running {
		if running {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *machineOf) set(id string, running bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.running[id]; there {
		m.running[id] = running
	}
	return nil
}

func (m *machineOf) Stop(_ context.Context, id string) error  { return m.set(id, false) }
func (m *machineOf) Start(_ context.Context, id string) error { return m.set(id, true) }

func (m *machineOf) Refuse(gone func(pki.Role, string) bool) { m.gone = gone }
func (m *machineOf) Keyring() int                            { return m.keyring.Version }
func (m *machineOf) SetKeyring(k model.Keyring) error        { m.keyring = k; return nil }
func (m *machineOf) Request() ([]byte, error)                { return nil, nil }
func (m *machineOf) Renew(cert []byte) error                 { m.renewed = cert; return nil }

const stopAfter = time.Minute

// keeper opens the standing that is kept in dir, and watches over it.
func keeper(t *testing.T, dir, process string, clock Clock, m *machineOf) (k *Keeper, stop func()) {
	t.Helper()
	k, err := Open(Config{
		File: filepath.Join(dir, "standing.json"), StopAfter: stopAfter, Clock: clock, Process: process, Member: m,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { k.Watch(ctx, m) })
	return k, func() { cancel(); watching.Wait() }
}

// attend calls as a leader that has heard mark, and returns the next one.
func attend(t *testing.T, k *Keeper, mark string) string {
	t.Helper()
	s, err := k.Attend(wire.Attention{Mark: mark})
	if err != nil {
		t.Fatal(err)
	}
	return s.Mark
}

var movable = &model.ContainerSpec{Labels: map[string]string{model.LabelReschedule: "true"}}

func wantMay(t *testing.T, k *Keeper, may bool) {
	t.Helper()
	if err := k.May(movable); (err == nil) != may {
		t.Errorf("a container may start: %v, want %v", err, may)
	}
	if err := k.May(&model.ContainerSpec{}); err != nil {
		t.Errorf("a container that stays may not start: %v", err)
	}
}

func TestALeaseCountsFromTheAnswerThatTheLeaderHeard(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := &machineOf{running: map[string]bool{"c": true}}
		k, stop := keeper(t, dir, "p1", bubbleClock{"b1", time.Now()}, m)
		defer stop()
		first := attend(t, k, "")
		wantMay(t, k, false) // after a boot there is no lease
		time.Sleep(40 * time.Second)
		second := attend(t, k, first) // good for a minute from the first answer
		time.Sleep(15 * time.Second)
		wantMay(t, k, true)
		synctest.Wait()
		if !m.running["c"] {
			t.Error("it was not started again with the lease")
		}
		// The leader's calls come, but no answer reaches it: it sends what it has.
		attend(t, k, first)
		attend(t, k, "made up")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		wantMay(t, k, false)
		if m.running["c"] {
			t.Error("it runs although the leader has not heard of the node for a minute")
		}
		attend(t, k, second) // 40 s after the first: good until 100 s
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !m.running["c"] {
			t.Error("it was not started again when the node was back")
		}
	})
}

func TestALeaseOutlivesTheAgentAndNotTheBoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := &machineOf{running: map[string]bool{"c": false}}
		clock := bubbleClock{"b1", time.Now()}
		k, stop := keeper(t, dir, "p1", clock, m)
		mark := attend(t, k, "")
		last := attend(t, k, mark)
		wantMay(t, k, true)
		stop()
		time.Sleep(30 * time.Second)
		k, stop = keeper(t, dir, "p2", clock, m)
		wantMay(t, k, true)
		attend(t, k, last) // a mark of the process before renews nothing
		time.Sleep(31 * time.Second)
		wantMay(t, k, false)
		stop()
		k, stop = keeper(t, dir, "p3", bubbleClock{"b2", time.Now()}, m)
		defer stop()
		wantMay(t, k, false)
	})
}

func TestWhatWasStoppedStartsAgainAfterARestartToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := &machineOf{running: map[string]bool{"ran": true, "gone": true, "idle": false}}
		clock := bubbleClock{"b1", time.Now()}
		_, stop := keeper(t, dir, "p1", clock, m)
		synctest.Wait()
		if len(m.Running()) != 0 {
			t.Fatalf("without a lease %v run", m.Running())
		}
		stop()
		delete(m.running, "gone") // the leader has removed it: it is elsewhere
		k, stop := keeper(t, dir, "p2", clock, m)
		defer stop()
		attend(t, k, attend(t, k, ""))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := m.Running(); !slices.Equal(got, []string{"ran"}) {
			t.Errorf("%v run, want what ran before and is here still", got)
		}
	})
}

func TestTheNodeKeepsWhatItIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &machineOf{}
	clock := bubbleClock{"b1", time.Now()}
	k, stop := keeper(t, dir, "p1", clock, m)
	s, err := k.Attend(wire.Attention{
		Gone:    &wire.Gone{Version: "v1", Heads: []string{"h9"}, Nodes: []string{"n9"}},
		Keyring: &model.Keyring{Version: 3}, Certificate: []byte("new"),
	})
	stop()
	if err != nil || s.Gone != "v1" || s.Keyring != 3 || string(m.renewed) != "new" || s.StopAfter != stopAfter || !s.Fenced {
		t.Errorf("the answer is %+v, %v", s, err)
	}
	m.gone = nil
	_, stop = keeper(t, dir, "p2", clock, m)
	stop()
	for _, c := range []struct {
		role pki.Role
		id   string
		gone bool
	}{{pki.RoleHead, "h9", true}, {pki.RoleNode, "n9", true}, {pki.RoleHead, "n9", false}, {pki.RoleHead, "h1", false}} {
		if got := m.gone(c.role, c.id); got != c.gone {
			t.Errorf("%s %s counts as gone: %v", c.role, c.id, got)
		}
	}
}

func TestANodeWithoutADeadlineIsNeverFenced(t *testing.T) {
	t.Parallel()
	k, err := Open(Config{File: filepath.Join(t.TempDir(), "s"), Clock: bubbleClock{"b", time.Now()}, Member: &machineOf{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	wantMay(t, k, true)
}

func TestTheMachinesClockRuns(t *testing.T) {
	t.Parallel()
	clock, err := Machine()
	if err != nil {
		t.Fatal(err)
	}
	if before := clock.Now(); before <= 0 || clock.Now() < before || clock.Boot() == "" {
		t.Errorf("boot %q, %s", clock.Boot(), before)
	}
}

package gossip

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/spearheadcloud/spearhead/model"
)

// table is what this machine knows of the others. memberlist calls it from its
// own goroutines (Delegate, EventDelegate, AliveDelegate) and must not be kept
// waiting.
type table struct {
	self    string
	meta    []byte
	changes chan struct{}
	keeps   bool // the loads of others: a head does

	mu    sync.Mutex
	known map[string]Member
	left  map[string]bool   // of those known, who said goodbye
	twins map[string]string // id → address of another machine that says it has that id
	loads map[string]model.NodeLoad
}

func newTable(self string, role Role, meta []byte) *table {
	return &table{
		self: self, meta: meta, keeps: role == RoleHead,
		changes: make(chan struct{}, 1),
		known:   map[string]Member{},
		left:    map[string]bool{},
		twins:   map[string]string{},
		loads:   map[string]model.NodeLoad{},
	}
}

func (t *table) members() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Member, 0, len(t.known))
	for _, m := range t.known {
		list = append(list, m)
	}
	return list
}

func (t *table) alive() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, m := range t.known {
		if m.Alive {
			n++
		}
	}
	return n
}

// alone reports whether this machine knows no other that is alive.
func (t *table) alone() bool { return t.alive() < 2 }

// misses reports whether somebody is gone without having said goodbye.
func (t *table) misses() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, m := range t.known {
		if !m.Alive && !t.left[id] {
			return true
		}
	}
	return false
}

func (t *table) load(id string) (model.NodeLoad, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.loads[id]
	return l, ok
}

// setLoad gives this machine's load a sequence above all that it had, also
// before a restart: the clock's, unless the clock went back. It returns the
// load as it is to be told.
func (t *table) setLoad(l model.NodeLoad, now time.Time) NodeState {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.Sequence = max(t.loads[t.self].Sequence+1, uint64(max(now.UnixMilli(), 1)))
	t.loads[t.self] = l
	return NodeState{ID: t.self, Load: l}
}

// heads are the other machines that loads are told to.
func (t *table) heads() []memberlist.Address {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []memberlist.Address
	for id, m := range t.known {
		if id != t.self && m.Role == RoleHead && m.Alive {
			found = append(found, memberlist.Address{Addr: m.Addr, Name: id})
		}
	}
	return found
}

// learn takes a load that somebody told. Only a newer one counts. One that
// this machine is said to have told, newer than its latest, is of its life
// before a restart: what it tells from then on has a higher sequence.
func (t *table) learn(s NodeState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, have := t.loads[s.ID]
	switch {
	case have && s.Load.Sequence <= old.Sequence, !have && len(t.loads) >= maxStates:
	case s.ID != t.self:
		if t.keeps {
			t.loads[s.ID] = s.Load
		}
	case have && s.Load.Sequence < math.MaxUint64:
		old.Sequence = s.Load.Sequence + 1
		t.loads[t.self] = old
	}
}

// NodeMeta implements memberlist.Delegate.
func (t *table) NodeMeta(int) []byte { return t.meta }

// NotifyMsg implements memberlist.Delegate. What cannot be read is dropped.
func (t *table) NotifyMsg(data []byte) {
	if s, err := decodeState(data); err == nil {
		t.learn(s)
	}
}

// GetBroadcasts implements memberlist.Delegate: there is nothing of ours that
// every machine has to hear.
func (t *table) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate: all loads that this machine
// knows, for a push/pull. A head that has just come has them by it.
func (t *table) LocalState(bool) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	var data []byte
	for id, l := range t.loads {
		data = append(data, encode(NodeState{ID: id, Load: l})...)
	}
	return data
}

// MergeRemoteState implements memberlist.Delegate.
func (t *table) MergeRemoteState(data []byte, _ bool) {
	// What came before an error is as good as ever.
	states, _ := decodeStates(data)
	for _, s := range states {
		t.learn(s)
	}
}

// NotifyAlive implements memberlist.AliveDelegate: a machine that does not say
// what it is does not take part.
func (t *table) NotifyAlive(n *memberlist.Node) error {
	_, err := decodeMeta(n.Meta)
	return err
}

// NotifyConflict implements memberlist.ConflictDelegate: the machine that was
// there first stays a member, the other is not let in.
func (t *table) NotifyConflict(_, other *memberlist.Node) {
	t.mu.Lock()
	if len(t.twins) < maxStates {
		t.twins[other.Name] = other.Address()
	}
	t.mu.Unlock()
}

// NotifyJoin implements memberlist.EventDelegate.
func (t *table) NotifyJoin(n *memberlist.Node) { t.note(n, true) }

// NotifyUpdate implements memberlist.EventDelegate.
func (t *table) NotifyUpdate(n *memberlist.Node) { t.note(n, true) }

// NotifyLeave implements memberlist.EventDelegate.
func (t *table) NotifyLeave(n *memberlist.Node) { t.note(n, false) }

func (t *table) note(n *memberlist.Node, alive bool) {
	meta, err := decodeMeta(n.Meta)
	if err != nil {
		return
	}
	t.mu.Lock()
	if _, have := t.known[n.Name]; have || len(t.known) < maxStates {
		t.known[n.Name] = Member{
			ID: n.Name, Role: meta.Role, Name: meta.Name,
			Addr: n.Address(), WireAddr: meta.Wire, Alive: alive,
		}
		t.left[n.Name] = n.State == memberlist.StateLeft
	}
	t.mu.Unlock()
	select {
	case t.changes <- struct{}{}:
	default:
	}
}

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
	queue   memberlist.TransmitLimitedQueue

	mu    sync.Mutex
	known map[string]Member
	left  map[string]bool   // of those known, who said goodbye
	twins map[string]string // id → address of another machine that says it has that id
	loads map[string]model.NodeLoad
	news  bool      // this machine's load was not told yet
	told  time.Time // when it was last
}

func newTable(self string, meta []byte) *table {
	t := &table{
		self: self, meta: meta,
		changes: make(chan struct{}, 1),
		known:   map[string]Member{},
		left:    map[string]bool{},
		twins:   map[string]string{},
		loads:   map[string]model.NodeLoad{},
	}
	t.queue.RetransmitMult = 2 // what is missed comes by the next load, or a push/pull
	t.queue.NumNodes = t.alive
	return t
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
// before a restart: the clock's, unless the clock went back.
func (t *table) setLoad(l model.NodeLoad, now time.Time) {
	t.mu.Lock()
	l.Sequence = max(t.loads[t.self].Sequence+1, uint64(max(now.UnixMilli(), 1)))
	t.loads[t.self], t.news = l, true
	t.mu.Unlock()
}

// Every load passes through every machine, and a machine sends only so much.
// So in a ring of many, each tells its load less often: ten a second come in
// all. Few tell theirs at once.
const (
	fewMachines = 10
	paceOfEach  = 100 * time.Millisecond
)

// tell queues this machine's load if it is news and its turn has come.
func (t *table) tell(now time.Time) {
	pace := time.Duration(0)
	if n := t.alive(); n > fewMachines {
		pace = time.Duration(n) * paceOfEach
	}
	t.mu.Lock()
	due := t.news && now.Sub(t.told) >= pace
	l := t.loads[t.self]
	if due {
		t.news, t.told = false, now
	}
	t.mu.Unlock()
	if due {
		t.spread(NodeState{ID: t.self, Load: l})
	}
}

// learn takes a load that somebody told. Only a newer one counts. One that
// this machine is said to have sent, newer than its latest, is of its life
// before a restart: its latest is told again with a higher sequence.
func (t *table) learn(s NodeState, spread bool) {
	t.mu.Lock()
	old, have := t.loads[s.ID]
	if have && s.Load.Sequence <= old.Sequence || !have && len(t.loads) >= maxStates {
		t.mu.Unlock()
		return
	}
	if s.ID == t.self {
		if !have || s.Load.Sequence == math.MaxUint64 {
			t.mu.Unlock()
			return
		}
		old.Sequence = s.Load.Sequence + 1
		s.Load, spread = old, true
	}
	t.loads[s.ID] = s.Load
	t.mu.Unlock()
	if spread {
		t.spread(s)
	}
}

func (t *table) spread(s NodeState) {
	if data := encode(s); len(data) <= maxMessage {
		t.queue.QueueBroadcast(loadBroadcast{id: s.ID, data: data})
	}
}

// loadBroadcast is one load on its way; a newer one of the same machine takes
// its place.
type loadBroadcast struct {
	id   string
	data []byte
}

func (b loadBroadcast) Name() string    { return b.id }
func (b loadBroadcast) Message() []byte { return b.data }
func (b loadBroadcast) Finished()       {}
func (b loadBroadcast) Invalidates(o memberlist.Broadcast) bool {
	other, ok := o.(loadBroadcast)
	return ok && other.id == b.id
}

// NodeMeta implements memberlist.Delegate.
func (t *table) NodeMeta(int) []byte { return t.meta }

// NotifyMsg implements memberlist.Delegate. What cannot be read is dropped.
func (t *table) NotifyMsg(data []byte) {
	if s, err := decodeState(data); err == nil {
		t.learn(s, true)
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (t *table) GetBroadcasts(overhead, limit int) [][]byte {
	t.tell(time.Now())
	return t.queue.GetBroadcasts(overhead, limit)
}

// LocalState implements memberlist.Delegate: all loads, for a push/pull.
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
		t.learn(s, false)
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

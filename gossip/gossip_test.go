package gossip

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/model"
)

// memberlist does not wait for its last probe when it ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

var testKey = bytes.Repeat([]byte{7}, keySize)

func start(t *testing.T, id string, change func(*Config)) *Gossip {
	t.Helper()
	cfg := Config{
		ID: id, Role: RoleNode, Name: "name-of-" + id, Bind: "127.0.0.1:0", WireAddr: "10.0.0.1:7000",
		Keys: [][]byte{testKey}, Label: "dc-1",
	}
	if change != nil {
		change(&cfg)
	}
	g, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func joining(others ...*Gossip) func(*Config) {
	return func(c *Config) {
		for _, o := range others {
			c.Join = append(c.Join, o.Addr())
		}
	}
}

// eventually polls, because gossip has no event for what a test waits for.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func alive(g *Gossip) []string {
	var ids []string
	for _, m := range g.Members() {
		if m.Alive {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func TestMembersFindEachOtherAndTellTheirLoad(t *testing.T) {
	t.Parallel()
	a := start(t, "a", func(c *Config) { c.Role = RoleHead; c.WireAddr = "" })
	b := start(t, "b", joining(a))
	b.SetLoad(model.NodeLoad{Running: 1})
	c := start(t, "c", joining(b))
	all := []string{"a", "b", "c"}
	for _, g := range []*Gossip{a, b, c} {
		eventually(t, "all three know each other", func() bool { return cmp.Equal(alive(g), all) })
	}
	want := []Member{
		{ID: "a", Role: RoleHead, Name: "name-of-a", Addr: a.Addr(), Alive: true},
		{ID: "b", Role: RoleNode, Name: "name-of-b", Addr: b.Addr(), WireAddr: "10.0.0.1:7000", Alive: true},
		{ID: "c", Role: RoleNode, Name: "name-of-c", Addr: c.Addr(), WireAddr: "10.0.0.1:7000", Alive: true},
	}
	if diff := cmp.Diff(want, c.Members()); diff != "" {
		t.Error(diff)
	}
	running := func(g *Gossip, id string) int {
		l, _ := g.Load(id)
		return l.Running
	}
	d := start(t, "d", func(cfg *Config) { joining(b)(cfg); cfg.Role = RoleHead })
	eventually(t, "a load from before the join arrives", func() bool { return running(d, "b") == 1 })
	eventually(t, "b knows both heads", func() bool { return len(alive(b)) == 4 })
	told := 1
	for _, g := range []*Gossip{a, d} {
		eventually(t, "the latest load arrives", func() bool { // a datagram may be lost
			told++
			b.SetLoad(model.NodeLoad{Running: told})
			return running(g, "b") >= told-1
		})
	}
	if _, knows := c.Load("b"); knows {
		t.Error("a node keeps the load of another one")
	}
}

func TestLeavingIsSeenAndTold(t *testing.T) {
	t.Parallel()
	a := start(t, "a", nil)
	b := start(t, "b", joining(a))
	eventually(t, "both know each other", func() bool { return len(alive(a)) == 2 && len(alive(b)) == 2 })
	<-a.Changes()
	if err := b.Leave(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is told", func() bool {
		select {
		case <-a.Changes():
		default:
		}
		return cmp.Equal(alive(a), []string{"a"})
	})
	if got := len(a.Members()); got != 2 {
		t.Errorf("%d members are known, want the one that left too", got)
	}
}

func TestMemberIsFoundWhenItComesLater(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	a := start(t, "a", func(c *Config) { c.Join = []string{address} })
	b := start(t, "b", func(c *Config) { c.Bind = address })
	eventually(t, "both know each other", func() bool { return len(alive(a)) == 2 && len(alive(b)) == 2 })
}

func TestStrangersAreKeptOut(t *testing.T) {
	t.Parallel()
	a := start(t, "a", nil)
	strangers := []*Gossip{
		start(t, "wrong-key", func(c *Config) { joining(a)(c); c.Keys = [][]byte{bytes.Repeat([]byte{8}, keySize)} }),
		start(t, "wrong-label", func(c *Config) { joining(a)(c); c.Label = "dc-2" }),
	}
	friend := start(t, "friend", joining(a))
	eventually(t, "the friend is in", func() bool { return len(alive(friend)) == 2 })
	for _, s := range strangers {
		if n, err := s.list.Join([]string{a.Addr()}); err == nil || n != 0 {
			t.Errorf("%s has joined: %d, %v", s.cfg.ID, n, err)
		}
		if got := len(alive(s)); got != 1 {
			t.Errorf("%s knows %d members", s.cfg.ID, got)
		}
	}
	if diff := cmp.Diff([]string{"a", "friend"}, alive(a)); diff != "" {
		t.Error(diff)
	}
}

func TestRandomBytesDoNoHarm(t *testing.T) {
	t.Parallel()
	a := start(t, "a", nil)
	for _, proto := range []string{"tcp", "udp"} {
		conn, err := net.Dial(proto, a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		for n := range 50 {
			fmt.Fprintf(conn, "%s%c", strings.Repeat("x", n*10), n)
		}
		conn.Close()
	}
	b := start(t, "b", joining(a))
	eventually(t, "both know each other", func() bool { return len(alive(a)) == 2 && len(alive(b)) == 2 })
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"no key":      func(c *Config) { c.Keys = nil },
		"short key":   func(c *Config) { c.Keys = [][]byte{testKey[:16]} },
		"no label":    func(c *Config) { c.Label = "" },
		"no id":       func(c *Config) { c.ID = "" },
		"no role":     func(c *Config) { c.Role = "" },
		"long name":   func(c *Config) { c.Name = strings.Repeat("n", 600) },
		"no port":     func(c *Config) { c.Bind = "127.0.0.1" },
		"bad port":    func(c *Config) { c.Bind = "127.0.0.1:99999" },
		"bad advert.": func(c *Config) { c.Advertise = "x" },
	} {
		cfg := Config{ID: "a", Role: RoleNode, Name: "a", Bind: "127.0.0.1:0", Keys: [][]byte{testKey}, Label: "dc"}
		change(&cfg)
		if g, err := Start(t.Context(), cfg); err == nil {
			t.Errorf("%s: started", name)
			g.Close()
		}
	}
}

func TestOlderLoadsAreDropped(t *testing.T) {
	t.Parallel()
	table := newTable("self", RoleHead, nil)
	learn := func(id string, seq uint64, running int) {
		table.learn(NodeState{ID: id, Load: model.NodeLoad{Sequence: seq, Running: running}})
	}
	for _, seq := range []uint64{5, 4, 5, 7, 6} {
		learn("other", seq, int(seq))
	}
	if l, _ := table.load("other"); l.Running != 7 {
		t.Errorf("the load is that of sequence %d", l.Running)
	}
	table.setLoad(model.NodeLoad{Running: 1}, time.UnixMilli(1000))
	learn("self", 2000, 99)
	if l, _ := table.load("self"); l.Running != 1 || l.Sequence != 2001 {
		t.Errorf("after an echo of an earlier life the own load is %+v", l)
	}
	table.setLoad(model.NodeLoad{Running: 2}, time.UnixMilli(500))
	if l, _ := table.load("self"); l.Running != 2 || l.Sequence != 2002 {
		t.Errorf("after the clock went back the own load is %+v", l)
	}
	learn("self", math.MaxUint64, 99)
	if l, _ := table.load("self"); l.Sequence != 2002 {
		t.Errorf("the sequence ran over: %+v", l)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(NodeState{ID: "a", Load: model.NodeLoad{Sequence: 1, Sampled: time.Unix(1, 0).UTC()}}))
	f.Add(encodeMeta(metadata{Role: RoleHead, Name: "n", Wire: "10.0.0.1:7000"}))
	f.Add([]byte(`{"id":"a","load":{"sequence":1}}{"id":"b","load":{"sequence":2}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := decodeState(data); err == nil {
			again, err := decodeState(encode(s))
			if err == nil && again.ID != s.ID {
				t.Errorf("%+v became %+v", s, again)
			}
		}
		if m, err := decodeMeta(data); err == nil && m.Role != RoleHead && m.Role != RoleNode {
			t.Errorf("a member has the role %q", m.Role)
		}
		table := newTable("self", RoleHead, nil)
		table.setLoad(model.NodeLoad{Running: 3}, time.UnixMilli(1))
		table.NotifyMsg(data)
		table.MergeRemoteState(data, true)
		if l, _ := table.load("self"); l.Running != 3 {
			t.Error("another machine changed this one's load")
		}
		if len(table.loads) > maxStates {
			t.Error("more machines are remembered than allowed")
		}
	})
}

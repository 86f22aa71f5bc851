package gossip

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

func TestARingChangesItsKeyInThreeSteps(t *testing.T) {
	t.Parallel()
	a := start(t, "a", func(c *Config) { c.Role = RoleHead })
	b := start(t, "b", joining(a))
	ring := []*Gossip{a, b}
	running := 0
	works := func(step string) {
		t.Helper()
		running++
		eventually(t, step+": a load arrives", func() bool {
			b.SetLoad(model.NodeLoad{Running: running}) // told again, as agents do
			l, _ := a.Load("b")
			return l.Running == running && len(alive(a)) == 2 && len(alive(b)) == 2
		})
	}
	works("before")
	fresh := bytes.Repeat([]byte{9}, keySize)
	for step, keys := range [][][]byte{{testKey, fresh}, {fresh, testKey}, {fresh}} {
		for _, g := range ring { // one after the other: in between they differ by a step
			if err := g.SetKeys(keys); err != nil {
				t.Fatal(err)
			}
			works([]string{"learn", "use", "forget"}[step])
		}
	}
	if diff := cmp.Diff([][]byte{fresh}, a.Keys()); diff != "" {
		t.Error(diff)
	}
	late := start(t, "late", joining(a)) // with the old key
	if n, err := late.list.Join([]string{a.Addr()}); err == nil || n != 0 {
		t.Errorf("a machine with the old key has joined: %d, %v", n, err)
	}
	if err := late.SetKeys([][]byte{fresh}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a machine that was told the new key is in", func() bool { return len(alive(a)) == 3 })
	if err := a.SetKeys(nil); err == nil {
		t.Error("a ring without a key was taken")
	}
}

func TestACopiedIdentityIsNotLetIn(t *testing.T) {
	t.Parallel()
	a := start(t, "a", nil)
	b := start(t, "b", joining(a))
	eventually(t, "both know each other", func() bool { return len(alive(a)) == 2 })
	start(t, "b", joining(a)) // the same id, at another address
	eventually(t, "the copy is seen", func() bool {
		address, there := a.Twin("b")
		return there && address != b.Addr()
	})
	for _, m := range a.Members() {
		if m.ID == "b" && (m.Addr != b.Addr() || !m.Alive) {
			t.Errorf("the first machine was disturbed: %+v", m)
		}
	}
}

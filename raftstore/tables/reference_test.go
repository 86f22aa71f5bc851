package tables

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestReferencesComeApart: what was joined comes apart as it was, and sorts by
// key first and by primary key then.
func TestReferencesComeApart(t *testing.T) {
	t.Parallel()
	ids := rapid.OneOf(
		rapid.StringMatching(`[0-9a-f]{64}\x00`), rapid.StringMatching(`[0-9a-fA-F]{64}\x00`), rapid.StringMatching(`[0-9a-f]{63,65}.`),
		rapid.StringMatching(`[a-z]{0,3}\x00`), rapid.Just(strings.Repeat("f", 64)+"\x00"), rapid.Just(""), rapid.Just(strings.Repeat("x", longestID)),
	)
	rapid.Check(t, func(t *rapid.T) {
		wantKey, wantID := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "key"), ids.Draw(t, "id")
		r := makeReference(wantKey, wantID)
		if key, id := r.split(); key != string(wantKey) || id != wantID {
			t.Fatalf("%q and %q come back as %q and %q", wantKey, wantID, key, id)
		}
	})
	hexIDs := rapid.StringMatching(`[0-9a-f]{64}\x00`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := hexIDs.Draw(t, "a"), hexIDs.Draw(t, "b")
		if x, y := makeReference([]byte("k\x00"), a), makeReference([]byte("k\x00"), b); cmp.Compare(x, y) != cmp.Compare(a, b) {
			t.Fatalf("%q and %q are in another order as references", a, b)
		}
	})
}

// TestAnIndexIsLeftAloneByWhatDoesNotConcernIt: a row that changes stays in the
// trees of the indexes whose keys it keeps.
func TestAnIndexIsLeftAloneByWhatDoesNotConcernIt(t *testing.T) {
	t.Parallel()
	db := pets(t)
	insert := func(p *pet) (kinds, tags bool) {
		x := db.Txn(true)
		if err := x.Insert("pets", p); err != nil {
			t.Fatal(err)
		}
		kinds, tags = x.refs.own[0], x.refs.own[1]
		x.Commit()
		return kinds, tags
	}
	id := fmt.Sprintf("%064x", 7)
	insert(&pet{name: id, kind: "cat", tags: []string{"a"}})
	changed := &pet{name: id, kind: "cat", tags: []string{"b"}}
	if kinds, tags := insert(changed); kinds || !tags {
		t.Errorf("kinds changed: %t, tags changed: %t", kinds, tags)
	}
	for index, key := range map[string]string{"kind": "cat", "tag": "b", "name": id} {
		if row, err := db.Txn(false).First("pets", index, key); err != nil || row != any(changed) {
			t.Errorf("by %s: %v, error %v", index, row, err)
		}
	}
	if row, err := db.Txn(false).First("pets", "tag", "a"); err != nil || row != nil {
		t.Errorf("by a tag that it had: %v, error %v", row, err)
	}
}

package tables

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// pet is a row: its primary key is its name, and it has some tags.
type pet struct {
	name string
	kind string
	tags []string
}

func keysOf(keys func(*pet) []string) func(any) ([][]byte, error) {
	return func(row any) ([][]byte, error) {
		p, ok := row.(*pet)
		if !ok {
			return nil, fmt.Errorf("%T is no pet", row)
		}
		var out [][]byte
		for _, k := range keys(p) {
			out = append(out, []byte(k+"\x00"))
		}
		return out, nil
	}
}

func exact(args ...any) ([]byte, error) { return []byte(args[0].(string) + "\x00"), nil }
func begin(args ...any) ([]byte, error) { return []byte(args[0].(string)), nil }

func pets(t interface{ Fatal(...any) }) *DB {
	db, err := New([]*Table{{Name: "pets", Indexes: []*Index{
		{Name: "name", Unique: true, Keys: keysOf(func(p *pet) []string { return []string{p.name} }), Exact: exact, Prefix: begin},
		{Name: "kind", Keys: keysOf(func(p *pet) []string { return []string{p.kind} }), Exact: exact},
		{Name: "tag", Keys: keysOf(func(p *pet) []string { return p.tags }), Exact: exact, Prefix: begin},
		{Name: "whole", Whole: true, Keys: keysOf(func(p *pet) []string { return p.tags }), Exact: exact, Prefix: begin},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func names(t interface{ Fatal(...any) }, it *Iterator, err error) []string {
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for row := it.Next(); row != nil; row = it.Next() {
		out = append(out, row.(*pet).name)
	}
	return out
}

// expected looks through a map for what an index should find.
func expected(model map[string]*pet, of func(*pet) bool) []string {
	out := []string{}
	for _, p := range model {
		if of(p) {
			out = append(out, p.name)
		}
	}
	slices.Sort(out)
	return out
}

func check(t *rapid.T, x *Txn, model map[string]*pet) {
	for _, kind := range []string{"cat", "dog", "do"} {
		it, err := x.Get("pets", "kind", kind)
		if diff := gocmp.Diff(expected(model, func(p *pet) bool { return p.kind == kind }), names(t, it, err)); diff != "" {
			t.Fatalf("of kind %s: %s", kind, diff)
		}
	}
	for _, tag := range []string{"a", "ab", "b"} {
		for _, index := range []string{"tag", "whole"} {
			it, err := x.Get("pets", index, tag)
			if diff := gocmp.Diff(expected(model, func(p *pet) bool { return slices.Contains(p.tags, tag) }), names(t, it, err)); diff != "" {
				t.Fatalf("with tag %s by %s: %s", tag, index, diff)
			}
			row, err := x.First("pets", index, tag)
			if got, _ := row.(*pet); err != nil || got != nil && model[got.name] != got {
				t.Fatalf("an old row with tag %s by %s: %v, error %v", tag, index, got, err)
			}
		}
	}
	it, err := x.Get("pets", "name"+Prefix, "p1")
	if diff := gocmp.Diff(expected(model, func(p *pet) bool { return strings.HasPrefix(p.name, "p1") }), names(t, it, err)); diff != "" {
		t.Fatalf("names with p1: %s", diff)
	}
	it, err = x.LowerBound("pets", "name", "p3")
	if diff := gocmp.Diff(expected(model, func(p *pet) bool { return cmp.Compare(p.name, "p3") >= 0 }), names(t, it, err)); diff != "" {
		t.Fatalf("names from p3: %s", diff)
	}
	for i := range 30 {
		name := fmt.Sprint("p", i)
		row, err := x.First("pets", "name", name)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := row.(*pet); got != model[name] {
			t.Fatalf("%s is %v, want %v", name, got, model[name])
		}
	}
}

func TestTablesAreAsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		db, model := pets(t), map[string]*pet{}
		type version struct {
			txn   *Txn
			model map[string]*pet
		}
		var seen []version
		for range rapid.IntRange(1, 10).Draw(t, "transactions") {
			x, next := db.Txn(true), clone(model)
			for range rapid.IntRange(0, 30).Draw(t, "changes") {
				change(t, x, next)
			}
			check(t, x, next)
			if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
				x.Abort()
			} else {
				x.Commit()
				model = next
			}
			seen = append(seen, version{db.Txn(false), model})
		}
		for _, v := range seen {
			check(t, v.txn, v.model)
		}
	})
}

func clone(model map[string]*pet) map[string]*pet {
	out := map[string]*pet{}
	for k, v := range model {
		out[k] = v
	}
	return out
}

func change(t *rapid.T, x *Txn, model map[string]*pet) {
	p := &pet{
		name: fmt.Sprint("p", rapid.IntRange(0, 29).Draw(t, "name")),
		kind: rapid.SampledFrom([]string{"cat", "dog"}).Draw(t, "kind"),
		tags: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "ab", "b"}), 0, 3, rapid.ID[string]).Draw(t, "tags"),
	}
	switch rapid.IntRange(0, 20).Draw(t, "change") {
	case 0:
		if err := x.Clear("pets"); err != nil {
			t.Fatal(err)
		}
		clear(model)
	case 1, 2, 3, 4, 5, 6:
		_, there := model[p.name]
		if err := x.Delete("pets", p); there != (err == nil) {
			t.Fatalf("deleting %s: %v", p.name, err)
		}
		delete(model, p.name)
	default:
		if err := x.Insert("pets", p); err != nil {
			t.Fatal(err)
		}
		model[p.name] = p
	}
}

func TestLongListsComeWhole(t *testing.T) {
	t.Parallel()
	db := pets(t)
	x := db.Txn(true)
	const many = 3000
	for i := range many {
		if err := x.Insert("pets", &pet{name: fmt.Sprintf("%05d", i), kind: "cat"}); err != nil {
			t.Fatal(err)
		}
	}
	x.Commit()
	it, err := db.Txn(false).Get("pets", "kind", "cat")
	if got := names(t, it, err); len(got) != many || !slices.IsSorted(got) {
		t.Errorf("%d of %d, sorted: %v", len(got), many, slices.IsSorted(got))
	}
	it, err = db.Txn(false).Get("pets", "name")
	if got := names(t, it, err); len(got) != many {
		t.Errorf("%d of %d", len(got), many)
	}
}

func TestMistakesAreErrors(t *testing.T) {
	t.Parallel()
	db := pets(t)
	read := db.Txn(false)
	write := db.Txn(true)
	defer write.Abort()
	_, noTable := read.Get("plants", "name")
	_, noIndex := read.Get("pets", "age")
	_, noPrefix := read.Get("pets", "kind"+Prefix, "c")
	for what, err := range map[string]error{
		"a table that is not there": noTable, "an index that is not there": noIndex, "an index without prefixes": noPrefix,
		"a write to what is only read":  read.Insert("pets", &pet{}),
		"a row of another type":         write.Insert("pets", 1),
		"deletion of what is not there": write.Delete("pets", &pet{name: "x"}),
		"a write to no table":           write.Insert("plants", &pet{}),
	} {
		if err == nil {
			t.Errorf("%s is no error", what)
		}
	}
	for _, schema := range [][]*Table{
		{{Name: "a"}},
		{{Name: "a", Indexes: []*Index{{Name: "x"}}}},
		{{Name: "a", Indexes: []*Index{{Name: "x", Unique: true}, {Name: "x"}}}},
		{{Name: "a", Indexes: []*Index{{Name: "x", Unique: true}}}, {Name: "a", Indexes: []*Index{{Name: "x", Unique: true}}}},
	} {
		if _, err := New(schema); err == nil {
			t.Errorf("a bad schema is accepted: %+v", schema[0])
		}
	}
}

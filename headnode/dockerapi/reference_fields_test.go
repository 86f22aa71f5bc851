package dockerapi

import (
	"encoding"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/model"
)

// createFields lists each field of a create request that holds no others, as
// clients write it: elements of lists are [], of objects with keys of a user's
// choice [*].
func createFields() []string {
	var all []string
	walkFields(reflect.TypeFor[container.CreateRequest](), "", &all)
	return append(all, slices.Sorted(maps.Keys(formerFields))...)
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

func walkFields(t reflect.Type, at string, all *[]string) {
	switch {
	case t.Kind() == reflect.Pointer:
		walkFields(t.Elem(), at, all)
	case t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType) && t.NumField() > 0:
		for _, field := range reflect.VisibleFields(t) {
			if field.Anonymous || !field.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				name = field.Name
			}
			walkFields(field.Type, strings.TrimPrefix(at+"."+name, "."), all)
		}
	case t.Kind() == reflect.Slice && holdsFields(t.Elem()):
		walkFields(t.Elem(), at+"[]", all)
	case t.Kind() == reflect.Map && holdsFields(t.Elem()):
		walkFields(t.Elem(), at+"[*]", all)
	default:
		*all = append(*all, at)
	}
}

// holdsFields reports whether a type is a structure of fields, or a list of
// such.
func holdsFields(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && t.NumField() > 0 && !reflect.PointerTo(t).Implements(textType)
}

// outcome is what a field does to a create request.
type outcome struct {
	state   state
	tenants bool   // whether a tenant may not ask for it
	text    string // of a refusal
}

// state is what becomes of a field.
type state string

const (
	stateDone    state = "done"
	stateNothing state = "asks for nothing" // it is kept for inspect at most
	stateRefused state = "refused"
)

// creator decodes create requests, one after the other.
type creator struct {
	fake    *fake
	handler http.Handler
}

func newCreator() *creator {
	f := newFake()
	f.fail = model.Errorf(model.KindConflict, "the fake makes nothing")
	return &creator{f, f.handler()}
}

// create posts a create request and returns what it was decoded into, or nil
// and why not.
func (c *creator) create(v compat.Version, body string) (*model.CreateContainer, string) {
	c.fake.created = nil
	r := httptest.NewRequest("POST", "/v"+v.String()+"/containers/create", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	if len(c.fake.created) == 0 {
		return nil, strings.TrimSpace(w.Body.String())
	}
	made := c.fake.created[0]
	made.Operation, made.DockerRequest = "", nil
	return &made, ""
}

// try finds what a field does by asking for a container with it and for one
// without.
func (c *creator) try(t *testing.T, v compat.Version, field string) outcome {
	t.Helper()
	with, without := requestsWith(t, field)
	base, text := c.create(v, without)
	if base == nil {
		t.Fatalf("%s at %s: %s is no request to try it with: %s", field, v, without, text)
	}
	got, text := c.create(v, with)
	if got == nil {
		return outcome{state: stateRefused, text: text}
	}
	o := outcome{tenants: len(policy.Check(model.Account{Policy: model.PolicyTenant}, got)) > 0}
	switch {
	case len(got.Unsupported) > 0:
		o.state, o.text = stateRefused, strings.Join(got.Unsupported, ", ")
	case !cmp.Equal(got, base):
		o.state = stateDone
	default:
		o.state = stateNothing
	}
	return o
}

// requestsWith makes a request that has the field and one that does not and is
// otherwise the same.
func requestsWith(t *testing.T, field string) (with, without string) {
	t.Helper()
	s := sampleOf(field)
	base := map[string]any{"Image": "busybox"}
	for at, value := range s.beside {
		put(base, strings.Split(at, "."), value)
	}
	plain, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	put(base, strings.Split(field, "."), s.value)
	full, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	return string(full), string(plain)
}

// put sets a value in nested objects. A step NAME[] goes to the first element
// of a list, NAME[*] to the object at the key x, which is a port where ports are keys.
func put(in map[string]any, path []string, value any) {
	step, rest := path[0], path[1:]
	name, list := strings.CutSuffix(step, "[]")
	name, keyed := strings.CutSuffix(name, "[*]")
	switch {
	case keyed:
		of := child(in, name)
		key := "x"
		if name == "PortBindings" {
			key = "80/tcp"
		}
		if list {
			put(of, append([]string{key + "[]"}, rest...), value)
			return
		}
		put(child(of, key), rest, value)
	case list:
		elements, ok := in[name].([]any)
		if !ok {
			elements = []any{map[string]any{}}
			in[name] = elements
		}
		put(elements[0].(map[string]any), rest, value)
	case len(rest) == 0:
		in[name] = value
	default:
		put(child(in, name), rest, value)
	}
}

func child(in map[string]any, name string) map[string]any {
	of, ok := in[name].(map[string]any)
	if !ok {
		of = map[string]any{}
		in[name] = of
	}
	return of
}

// edge tells what was before a version.
type edge[S comparable] struct {
	version compat.Version
	before  S
}

// edgesOf finds the versions at which something changed, oldest first. What
// is the same at both ends of a range is taken to be the same within it.
func edgesOf[S comparable](at func(compat.Version) S) []edge[S] {
	var edges []edge[S]
	var search func(low, high int, atLow, atHigh S)
	search = func(low, high int, atLow, atHigh S) {
		if atLow == atHigh {
			return
		}
		if high == low+1 {
			edges = append(edges, edge[S]{compat.V(high), atLow})
			return
		}
		middle := (low + high) / 2
		atMiddle := at(compat.V(middle))
		search(low, middle, atLow, atMiddle)
		search(middle, high, atMiddle, atHigh)
	}
	search(compat.Oldest.Minor, compat.Newest.Minor, at(compat.Oldest), at(compat.Newest))
	return edges
}

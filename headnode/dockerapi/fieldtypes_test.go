package dockerapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/model"
)

// field is one field of a request by the names that lead to it.
type field struct {
	path []string
	kind reflect.Type
}

// fieldsBelow lists the fields of a struct as JSON has them, with those of the
// structs in it.
func fieldsBelow(of reflect.Type, within []string) []field {
	var all []field
	for _, f := range reflect.VisibleFields(of) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		kind := f.Type
		for kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		path := append(append([]string(nil), within...), name)
		all = append(all, field{path, kind})
		if kind.Kind() == reflect.Struct && !readsText(kind) {
			all = append(all, fieldsBelow(kind, path)...)
		}
	}
	return all
}

func readsText(of reflect.Type) bool {
	return reflect.PointerTo(of).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) ||
		reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// wrongTypes are values that a field of that type cannot have.
func wrongTypes(of reflect.Type) []string {
	if readsText(of) {
		return []string{`5`, `{"a":1}`, `[1]`, `true`}
	}
	switch of.Kind() {
	case reflect.Bool:
		return []string{`"true"`, `1`, `["x"]`, `{"a":1}`}
	case reflect.String:
		return []string{`5`, `true`, `["x"]`, `{"a":1}`}
	case reflect.Slice, reflect.Array:
		return []string{`"x"`, `5`, `true`, `{"a":1}`, `[{"a":[]},[[5]]]`}
	case reflect.Map:
		return []string{`"x"`, `5`, `true`, `["x"]`, `{"a":[5]}`}
	case reflect.Struct:
		return []string{`"x"`, `5`, `true`, `["x"]`}
	default: // numbers
		return []string{`"5"`, `"x"`, `true`, `[5]`, `{"a":1}`, `1.5`, `1e400`, `99999999999999999999`}
	}
}

// TestIllTypedFieldsAreNamed gives each field of a request each sort of value
// that it cannot have: the answer is 400, it names the field, and nothing is
// done.
func TestIllTypedFieldsAreNamed(t *testing.T) {
	t.Parallel()
	f := newFake()
	handler := f.handler()
	f.fail = model.Errorf(model.KindConflict, "the fake makes nothing")
	for path, of := range map[string]reflect.Type{
		"/containers/create": reflect.TypeFor[container.CreateRequest](), "/containers/x/update": reflect.TypeFor[container.UpdateConfig](),
		"/containers/x/exec": reflect.TypeFor[container.ExecCreateRequest](), "/exec/x/start": reflect.TypeFor[container.ExecStartRequest](),
		"/commit?container=x": reflect.TypeFor[container.Config](),
	} {
		fields := fieldsBelow(of, nil)
		if len(fields) < 2 {
			t.Errorf("%s has only %d fields", path, len(fields))
		}
		for _, field := range fields {
			for _, value := range wrongTypes(field.kind) {
				body := value
				for i := len(field.path) - 1; i >= 0; i-- {
					body = fmt.Sprintf(`{%q:%s}`, field.path[i], body)
				}
				r := httptest.NewRequest("POST", path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if name := strings.Join(field.path, "."); w.Code != 400 || !strings.Contains(w.Body.String(), name) {
					t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
				}
			}
		}
	}
	if len(f.created)+len(f.asked) > 0 {
		t.Errorf("something was asked of the use cases: %v", f.asked)
	}
}

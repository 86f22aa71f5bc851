package state

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestEqualMapsAreOne: maps with the same content are one map, and others are
// not, however many there are.
func TestEqualMapsAreOne(t *testing.T) {
	t.Parallel()
	texts := rapid.StringN(0, 2, 2)
	drawn := rapid.MapOfN(texts, texts, 1, 3)
	rapid.Check(t, func(t *rapid.T) {
		s := newSharedMaps()
		a, b := drawn.Draw(t, "a"), drawn.Draw(t, "b")
		sharedA, sharedB := s.share(a), s.share(b)
		if !reflect.DeepEqual(a, sharedA) || !reflect.DeepEqual(b, sharedB) {
			t.Fatalf("%v and %v become %v and %v", a, b, sharedA, sharedB)
		}
		if same := reflect.ValueOf(sharedA).Pointer() == reflect.ValueOf(sharedB).Pointer(); same != reflect.DeepEqual(a, b) {
			t.Fatalf("%v and %v share memory: %t", a, b, same)
		}
	})
	s := newSharedMaps()
	for i := range 3 * mostMaps {
		m := map[string]string{"k": fmt.Sprint(i)}
		if got := s.share(m); !reflect.DeepEqual(m, got) {
			t.Fatalf("%v becomes %v", m, got)
		}
	}
	if len(s.known) > mostMaps {
		t.Errorf("%d maps are kept", len(s.known))
	}
	if s.share(nil) != nil {
		t.Error("nothing becomes something")
	}
}

package placement

import (
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// What a node tells of its storage keeps containers away from it, also those
// that can go nowhere else.
func TestNodesWhoseStorageFailsAreAvoided(t *testing.T) {
	t.Parallel()
	f := NewFleet(flat([]machine{node("a", nil), node("b", nil), node("c", nil)})...)
	for id, fault := range map[string]model.StorageFault{"a": model.StorageSilent, "b": model.StorageFull} {
		if !f.Storage(id, fault) || f.Storage(id, fault) {
			t.Errorf("%s: only the first time it is news", id)
		}
	}
	if d, err := f.Decide(Request{}); err != nil || d.NodeID != "c" {
		t.Errorf("decided %+v, %v", d, err)
	}
	f.Storage("c", model.StorageSuspended)
	for id, want := range map[string]string{
		"":  "3 nodes: 2 have storage that fails, 1 has no space left",
		"a": "3 nodes: 2 do not hold what the container must share, 1 has storage that fails",
		"b": "3 nodes: 2 do not hold what the container must share, 1 has no space left",
	} {
		if _, err := f.Decide(Request{NodeID: id}); model.UserText(err) != "No compute resources available: "+want {
			t.Errorf("only %q: %v", id, err)
		}
	}
	if !f.Storage("b", "") {
		t.Error("the recovery is no news")
	}
	if d, err := f.Decide(Request{}); err != nil || d.NodeID != "b" {
		t.Errorf("after the recovery: %+v, %v", d, err)
	}
	if f.Storage("none", model.StorageFull) {
		t.Error("news of a node that is not there")
	}
}

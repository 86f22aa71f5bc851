package raftstore

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// A head that is upgraded first says nothing that would end the others; once
// all are upgraded it may.
func TestWhatOlderHeadsDoNotKnowIsNotSaid(t *testing.T) {
	t.Parallel()
	r := newRing(t, 3)
	leader := r.leader().Store
	put := func(m *member, version string) {
		mustPropose(t, leader, command.PutHead{Head: model.Head{ID: m.id, Name: "name of " + m.id, Version: version}})
	}
	for _, m := range r.heads {
		put(m, model.HeadVersion("1.2.0", command.Level))
	}
	old := r.others(r.leader())[0]
	put(old, "1.1.0")
	newest := command.EndVolumeMove{ID: "v", Operation: "o"}
	entry, err := command.Encode(command.Entry{Command: newest})
	if err != nil {
		t.Fatal(err)
	}
	_, own := leader.Propose(t.Context(), newest)
	_, sent := leader.ProposeEncoded(t.Context(), entry)
	for _, err := range []error{own, sent} {
		if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "head name of "+old.id+" runs spearhead 1.1.0") {
			t.Errorf("what is new while a head is old: %v", err)
		}
	}
	mustPropose(t, leader, account(1))
	put(old, model.HeadVersion("1.2.0", command.Level))
	mustPropose(t, leader, newest)
	if _, err := leader.ProposeEncoded(t.Context(), entry); err != nil {
		t.Errorf("once all heads are upgraded: %v", err)
	}
	r.converge(r.heads...)
}

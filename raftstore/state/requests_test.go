package state

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// request applies a command as a request's.
func (j *journal) request(id string, c command.Command) (uint64, error) {
	j.t.Helper()
	j.index++
	return j.Apply(j.index, command.Entry{Request: id, Command: c})
}

func TestRepeatedRequestHasItsFirstOutcome(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	first, err := j.request("r1", command.SetSetting{Name: "a", Value: "1"})
	if err != nil {
		t.Fatal(err)
	}
	j.must(command.SetSetting{Name: "a", Value: "2"})
	again, err := j.request("r1", command.SetSetting{Name: "a", Value: "1"})
	if err != nil || again != first {
		t.Errorf("the repetition came into force at %d with %v, the request at %d", again, err, first)
	}
	if got, _ := j.View().Setting("a"); got != "2" {
		t.Errorf("the repetition was carried out: the setting is %s", got)
	}
	if got := j.View().Index(); got != j.index {
		t.Errorf("the view is at %d after entry %d", got, j.index)
	}

	_, refused := j.request("r2", command.RemoveNode{ID: "nowhere"})
	if !model.IsKind(refused, model.KindNotFound) {
		t.Fatalf("got %v", refused)
	}
	node := testNode(1, 1)
	node.Node.ID, node.Node.Name = "nowhere", "nowhere"
	j.must(node)
	_, err = j.request("r2", command.RemoveNode{ID: "nowhere"})
	if model.KindOf(err) != model.KindOf(refused) || model.UserText(err) != model.UserText(refused) {
		t.Errorf("the repetition got %v, the request %v", err, refused)
	}
	if _, ok := j.View().Node("nowhere"); !ok {
		t.Error("the repetition of a refused request was carried out")
	}
}

// Heads of two releases may word a refusal differently, and are equal all the
// same; one that refuses for another reason is not.
func TestWordsOfRefusalsAreNotCompared(t *testing.T) {
	t.Parallel()
	hashAfter := func(refusal *model.Error) string {
		j := newJournal(t)
		j.index++
		tx := j.begin(j.index)
		tx.requests = append(tx.requests, tx.outcome("r", refusal))
		if err := tx.commit(); err != nil {
			t.Fatal(err)
		}
		h, err := j.View().Hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first := hashAfter(&model.Error{Kind: model.KindConflict, Text: "no"})
	if hashAfter(&model.Error{Kind: model.KindConflict, Text: "no, not now"}) != first {
		t.Error("another text is another state")
	}
	if hashAfter(&model.Error{Kind: model.KindNotFound, Text: "no"}) == first || hashAfter(nil) == first {
		t.Error("another outcome is the same state")
	}
}

func TestOutcomesOutliveASnapshotAndAreBounded(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	long := strings.Repeat("ü", maxRefusalText)
	if _, err := j.request("long", command.PutNode{Node: model.Node{ID: "x\x00", Name: long}}); err == nil {
		t.Fatal("a NUL byte was accepted")
	}
	if _, err := j.request("cut", command.ReserveContainer{Container: model.Container{ID: "x", Name: "web", AccountID: long}}); err == nil {
		t.Fatal("a bad container was accepted")
	}
	for i := range maxRequests - 1 {
		if _, err := j.request(fmt.Sprint("r", i), command.CheckState{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, known := j.View().Request("long"); known {
		t.Error("the oldest request is still known")
	}
	if _, refusal, known := j.View().Request("cut"); !known || refusal == nil {
		t.Error("a request is forgotten too early")
	}
	var data bytes.Buffer
	if err := j.View().Write(&data); err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(&data)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*State{j.State, restored} {
		if _, err := s.Apply(j.index+1, command.Entry{Request: "one more", Command: command.CheckState{}}); err != nil {
			t.Fatal(err)
		}
		if _, _, known := s.View().Request("cut"); known {
			t.Error("the oldest request is still known")
		}
	}
	if hashOf(t, restored) != hashOf(t, j.State) {
		t.Error("the restored state goes another way")
	}
}

func TestRefusalsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		strings.Repeat("x", maxRefusalText+1):       strings.Repeat("x", maxRefusalText),
		strings.Repeat("x", maxRefusalText-1) + "ü": strings.Repeat("x", maxRefusalText-1),
	} {
		tx := New().begin(1)
		if got := tx.outcome("r", &model.Error{Kind: model.KindInvalid, Text: text}); got.Text != want {
			t.Errorf("%d bytes became %q", len(text), got.Text[len(got.Text)-3:])
		}
	}
}

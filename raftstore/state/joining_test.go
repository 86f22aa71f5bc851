package state

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func testToken(id, role string) command.PutToken {
	return command.PutToken{Token: model.Token{
		ID: id, Role: role, Hash: model.HashSecret("secret of " + id), Created: epoch, Expires: epoch.Add(time.Hour),
	}}
}

// use is the node of that name joining by a token.
func use(token, key, name string) command.UseToken {
	return command.UseToken{
		ID: token, Hash: model.HashSecret("secret of " + token), Key: key, Machine: "machine-" + key,
		Node: &model.Node{Name: name, Address: name + ":1"}, Time: epoch.Add(time.Minute),
	}
}

func TestATokenLetsOneMachineIn(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(testToken("t1", model.RoleNode), testToken("t2", model.RoleNode), testToken("t3", model.RoleHead))
	refused := func(what string, c command.UseToken, text string) {
		t.Helper()
		err := j.try(c)
		if !model.IsKind(err, model.KindForbidden) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want it refused with %q", what, err, text)
		}
		if _, there := j.View().NodeByName(c.Node.Name); there {
			t.Errorf("%s: the node is there", what)
		}
	}
	wrong := use("t1", "k1", "new")
	wrong.Hash = model.HashSecret("guess")
	refused("a wrong secret", wrong, "wrong")
	refused("an unknown token", use("t9", "k1", "new"), "wrong")
	late := use("t1", "k1", "new")
	late.Time = epoch.Add(2 * time.Hour)
	refused("an expired token", late, "expired")
	refused("a head's token", use("t3", "k1", "new"), "is for a head")

	j.must(use("t1", "k1", "new"))
	n, ok := j.View().NodeByName("new")
	if !ok || n.Approved || n.ID != "machine-k1" {
		t.Errorf("the node that joined is %+v", n)
	}
	again := use("t1", "k1", "new")
	again.Time = epoch.Add(2 * time.Hour)
	j.must(again) // who has used it may ask again, at any time
	refused("a used token", use("t1", "k2", "other"), "used")
	known := use("t2", "k2", "n1")
	if err := j.try(known); !model.IsKind(err, model.KindConflict) {
		t.Errorf("the name of an approved node was given away: %v", err)
	}
	j.must(use("t2", "k2", "new"))
	if n, _ := j.View().NodeByName("new"); n.ID != "machine-k2" {
		t.Errorf("a machine that was set up anew did not take its name over: %+v", n)
	}
	if !j.View().Departed("machine-k1") {
		t.Error("the certificate of the earlier machine is not refused")
	}
}

func TestTokensApproveIfTheirMakerSaidSo(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	put := testToken("t1", model.RoleNode)
	put.Token.Approve = true
	j.must(put, use("t1", "k1", "new"))
	if n, _ := j.View().NodeByName("new"); !n.Approved {
		t.Error("the node is not approved")
	}
	if err := j.try(put); !model.IsKind(err, model.KindConflict) {
		t.Errorf("the same token twice: %v", err)
	}
	j.must(command.RemoveToken{ID: "t1"})
	if err := j.try(command.RemoveToken{ID: "t1"}); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestTokensAreForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(testToken("old", model.RoleNode))
	later := testToken("new", model.RoleNode)
	later.Token.Created = epoch.Add(tokenMemory + 2*time.Hour)
	j.must(later)
	if _, there := j.View().Token("old"); there {
		t.Error("a token that expired long ago is remembered")
	}
	for i := len(j.View().Tokens()); i < maxTokens; i++ {
		j.must(testToken(fmt.Sprint("t", i), model.RoleNode))
	}
	if err := j.try(testToken("more", model.RoleNode)); !model.IsKind(err, model.KindExhausted) {
		t.Errorf("tokens without end: %v", err)
	}
}

func TestNodesChange(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	yes, rack, traits := true, "r7", []string{"ssd"}
	j.must(command.ChangeNode{ID: "node-1", Change: model.NodeChange{
		Cordoned: &yes, Rack: &rack, Traits: &traits, SetLabels: map[string]string{"a": "1", "b": "2"}, Overcommit: &model.Overcommit{CPU: 8},
	}})
	j.must(command.ChangeNode{ID: "node-1", Change: model.NodeChange{SetLabels: map[string]string{"a": "3"}, DropLabels: []string{"b"}}})
	n, _ := j.View().Node("node-1")
	if !n.Cordoned || n.Rack != rack || len(n.Labels) != 1 || n.Labels["a"] != "3" || n.Overcommit.CPU != 8 || n.Info.Hostname == "" || !n.Approved {
		t.Errorf("the node is %+v", n)
	}
	if err := j.try(command.ChangeNode{ID: "nowhere"}); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("an unknown node: %v", err)
	}
	if err := j.try(command.ChangeNode{ID: "node-1", Change: model.NodeChange{Overcommit: &model.Overcommit{CPU: -1}}}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a negative ratio: %v", err)
	}
}

func TestRemovedNodesDoNotComeBack(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(testNode(2, 1), command.RemoveNode{ID: "node-2"})
	if err := j.try(testNode(2, 1)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a removed node is back: %v", err)
	}
	if got := j.View().Departures(); len(got) != 1 || got[0] != "node-2" {
		t.Errorf("departed are %v", got)
	}
}

func TestKeysOfTheRingChangeOneStepAtATime(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, ringKeySize) }
	j.must(command.SetKeyring{Keys: [][]byte{key(1), key(2)}})
	if err := j.try(command.SetKeyring{Keys: [][]byte{key(3)}}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("two operators at once: %v", err)
	}
	for _, bad := range [][][]byte{nil, {key(1)[:16]}, {key(1), key(2), key(3), key(4), key(5)}} {
		if err := j.try(command.SetKeyring{Version: 1, Keys: bad}); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%d keys: %v", len(bad), err)
		}
	}
	j.must(command.SetKeyring{Version: 1, Keys: [][]byte{key(2)}})
	if k := j.View().Keyring(); k.Version != 2 || len(k.Keys) != 1 || !bytes.Equal(k.Keys[0], key(2)) {
		t.Errorf("the keyring is %+v", k)
	}
}

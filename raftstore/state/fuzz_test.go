package state

import (
	"bytes"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// someState has a row in every table.
func someState(t interface{ Fatal(...any) }) *State {
	s := New()
	for i, c := range someCommands() {
		if err := apply(t, s, uint64(i+1), c); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func someCommands() []command.Command {
	return []command.Command{
		testAccount(1),
		testNetwork(1),
		testNode(1, 100),
		command.SetNodeInfo{NodeID: "node-1", Info: testNode(1, 100).Node.Info},
		command.AddKey{AccountID: "account-1", Key: model.Key{Name: "k", Public: "ssh-ed25519 AAAA", SHA256: "SHA256:x"}},
		command.PutPackage{Package: model.Package{Name: "small", Memory: 1 << 20, Default: true}},
		command.PutImage{
			Image: model.Image{ID: "sha256:1", Holders: []string{"node-1"}}, Action: command.ActionPull, Time: epoch,
			Name: model.ImageName{AccountID: "account-1", Ref: "docker.io/library/i:latest", ImageID: "sha256:1"},
		},
		reservation(1, "web"),
		command.CommitJournal{NodeID: "node-1", Epoch: "e", Entries: []model.JournalEntry{
			{Seq: 1, Time: epoch, ContainerID: reservation(1, "web").Container.ID, Action: "create", State: &model.ContainerState{Status: model.StatusCreated}},
		}},
		command.RenameContainer{ID: reservation(1, "web").Container.ID, Name: "web2", Time: epoch},
		command.SetSetting{Name: "a", Value: "b"},
	}
}

func FuzzApply(f *testing.F) {
	for _, c := range append(someCommands(),
		command.RemoveAccount{ID: "account-1"}, command.RemoveKey{AccountID: "account-1", SHA256: "SHA256:x"},
		command.RemoveNode{ID: "node-1"}, command.ReleaseContainer{ID: "1"},
		command.RemoveImageName{AccountID: "account-1", Ref: "docker.io/library/i:latest"},
		command.DropImageHolder{ImageID: "sha256:1", NodeID: "node-1"},
	) {
		data, err := command.Encode(command.Entry{Command: c})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"n":99,"v":1,"c":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := someState(t), someState(t)
		index := a.View().Index() + 1
		for _, s := range []*State{a, b} {
			c, err := command.Decode(data)
			if err != nil {
				return
			}
			if _, err := s.Apply(index, c); err != nil && model.IsKind(err, model.KindInternal) {
				t.Fatal(err)
			}
		}
		if hashOf(t, a) != hashOf(t, b) {
			t.Fatal("the same command gave two states")
		}
		var snapshot bytes.Buffer
		if err := a.View().Write(&snapshot); err != nil {
			t.Fatal(err)
		}
		restored, err := Restore(&snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if hashOf(t, restored) != hashOf(t, a) {
			t.Fatal("the restored state differs")
		}
	})
}

func FuzzRestore(f *testing.F) {
	var data bytes.Buffer
	if err := someState(f).View().Write(&data); err != nil {
		f.Fatal(err)
	}
	f.Add(data.Bytes())
	f.Add(data.Bytes()[:data.Len()/2])
	f.Add([]byte(`{"format":"spearhead-state","version":1,"index":3}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Restore(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := s.View().Write(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(&again); err != nil {
			t.Fatalf("a restored state cannot be written and restored: %v", err)
		}
	})
}

package command

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spearheadcloud/spearhead/model"
)

// all has one command of each number.
func all() []Command {
	now := time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)
	return []Command{
		CreateAccount{Account: model.Account{ID: "a", Login: "l", Created: now}},
		RemoveAccount{ID: "a"},
		AddKey{AccountID: "a", Key: model.Key{Name: "k"}},
		RemoveKey{AccountID: "a", SHA256: "SHA256:x"},
		PutPackage{Package: model.Package{Name: "p"}},
		PutNetwork{Network: model.Network{ID: "n"}},
		PutNode{Node: model.Node{ID: "n", Overcommit: model.Overcommit{CPU: 2.5}}},
		SetNodeInfo{NodeID: "n", Info: model.NodeInfo{Hostname: "h"}},
		RemoveNode{ID: "n"},
		ReserveContainer{Container: model.Container{ID: "c", DockerRequest: []byte("{}")}},
		ReleaseContainer{ID: "c", Reason: "r"},
		RenameContainer{ID: "c", Name: "n", Time: now},
		CommitJournal{NodeID: "n", Epoch: "e", Entries: []model.JournalEntry{{Seq: 1, State: &model.ContainerState{}}}},
		PutImage{Image: model.Image{ID: "i"}, Action: ActionTag, Time: now},
		RemoveImageName{AccountID: "a", Ref: "r", Time: now},
		DropImageHolder{ImageID: "i", NodeID: "n"},
		SetSetting{Name: "n", Value: "v"},
		LoseContainer{ID: "c", Reason: "r", Time: now},
		ForgetContainer{ID: "c", Time: now},
		ReserveUpdate{ID: "c", Operation: "o", Package: "p", Before: model.Limits{Memory: 1}, Needs: model.Resources{CPU: 2}, Time: now},
		ReleaseUpdate{ID: "c", Operation: "o"},
		RemoveLink{ID: "c", Alias: "a"},
		LinksTold{ID: "c", Links: []model.Link{{Alias: "a"}}},
		RecordEvent{Event: model.Event{AccountID: "a", Type: "image", Action: "prune", Time: now}},
		SetAccountLimits{AccountID: "a", Limits: model.AccountLimits{Containers: 3, Memory: model.NoneAllowed}},
		RemovePackage{Name: "p"},
		SeedPackages{Packages: []model.Package{{Name: "p", Memory: 1}}},
		PutBuilder{Builder: model.Builder{AccountID: "a", NodeID: "n"}, Before: "m"},
		PutHead{Head: model.Head{ID: "h", Name: "n", Joined: now}},
		RemoveHead{ID: "h"},
		CheckState{},
		PutToken{Token: model.Token{ID: "t", Role: model.RoleNode, Hash: "h", Expires: now}},
		RemoveToken{ID: "t"},
		UseToken{ID: "t", Hash: "h", Key: "k", Machine: "m", Node: &model.Node{ID: "n", Inventory: &model.Inventory{CPUs: 1}}, Time: now},
		ChangeNode{ID: "n", Change: model.NodeChange{Approved: new(bool), SetLabels: map[string]string{"a": "b"}}},
		SetKeyring{Version: 1, Keys: [][]byte{{1}}},
		MoveContainer{ID: "c", From: "n", To: "m", Generation: 1, Reserved: model.Resources{Memory: 1}, Time: now},
		SettleMove{ID: "c", Generation: 1},
		AskTransfer{ID: "c", Operation: "o", Node: "m", Rate: 5, Time: now},
		AskGroupTransfer{ID: "c", Operation: "o", Node: "m", Rate: 5, Time: now},
		StepTransfer{
			ID: "c", Operation: "o", Step: model.TransferCopying, To: "m", Reserved: model.Resources{Memory: 1},
			Others: map[string]model.Resources{"d": {Memory: 2}},
		},
		CompleteTransfer{ID: "c", Operation: "o", Time: now},
		EndTransfer{ID: "c", Operation: "o", Time: now},
		DropFormer{ID: "c", Former: model.FormerCopy{NodeID: "n", Generation: 1}},
		FindContainer{ID: "c", NodeID: "n", State: model.ContainerState{Status: model.StatusRunning}},
		CreateVolume{Volume: model.Volume{ID: "v", Name: "data", Labels: map[string]string{"a": "b"}, Created: now}},
		RemoveVolume{ID: "v", Time: now},
		ForgetVolume{ID: "v"},
		SetVolumeSize{ID: "v", Before: 1, Size: 2},
		RenameVolume{ID: "v", Name: "other"},
		MoveVolume{ID: "v", From: "n", To: "m"},
		FinishVolume{ID: "v"},
		AddCopy{ID: "v", NodeID: "n"},
		AskVolumeMove{ID: "v", Operation: "o", To: "m", Rate: 5, Time: now},
		StepVolumeMove{ID: "v", Operation: "o", Step: model.TransferUndoing, Failure: "f"},
		EndVolumeMove{ID: "v", Operation: "o", Time: now},
		CondemnCopy{ID: "v", NodeID: "n"},
		DropCopy{ID: "v", NodeID: "n"},
		ResetJournal{NodeID: "n", Containers: []ContainerFound{{ID: "c"}}},
		PutRule{Rule: model.Rule{ID: "r", AccountID: "a", Text: "FROM any TO all vms ALLOW icmp", Enabled: true}},
		RemoveRule{ID: "r"},
		SetAccountPublish{AccountID: "a", Publish: model.PublishEndpoint},
		PutNetworkPool{Pool: model.NetworkPool{ID: "p", Name: "pool", Networks: []string{"n"}}},
		RemoveNetworkPool{ID: "p"},
		CreateNetwork{Network: model.Network{ID: "n", Kind: model.NetworkFabric, VNI: 7}},
		RemoveNetwork{ID: "n", Time: now},
		ConnectNIC{ContainerID: "c", NIC: model.NIC{NetworkID: "n", MAC: "02:00:00:00:00:01"}, Time: now},
		DisconnectNIC{ContainerID: "c", NetworkID: "n", Time: now},
		NICsTold{ContainerID: "c", NICs: []model.NIC{{NetworkID: "n"}}, Leaving: []model.NIC{{NetworkID: "o"}}},
	}
}

func TestCommandsComeBackFromTheLog(t *testing.T) {
	t.Parallel()
	seen := map[Number]bool{}
	for _, c := range all() {
		if seen[c.Number()] {
			t.Errorf("%T has a number that another command has", c)
		}
		seen[c.Number()] = true
		data, err := Encode(Entry{Request: "r", Command: c})
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if back.Request != "r" {
			t.Errorf("%T: the request is %q", c, back.Request)
		}
		if diff := cmp.Diff(c, back.Command, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%T: %s", c, diff)
		}
	}
	for number := range decoders {
		if !seen[number] {
			t.Errorf("command %d is not tested", number)
		}
	}
}

func TestWhatIsNotUnderstoodAsksForANewerVersion(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{"n":999,"v":1,"c":{}}`,
		`{"n":2,"v":2,"c":{"id":"a"}}`,
		`{"n":2,"v":1,"c":{"id":"a","force":true}}`,
		`{"n":2,"v":1,"c":{"id":"a"},"signature":"x"}`,
	} {
		var newer *NewerError
		if _, err := Decode([]byte(data)); !errors.As(err, &newer) {
			t.Errorf("%s got %v", data, err)
		}
	}
	for _, data := range []string{``, `{`, `[]`, `{"n":2,"v":1,"c":{"id":1}}`, `{"n":2,"v":1,"c":{"id":"a"}} {}`} {
		if c, err := Decode([]byte(data)); err == nil {
			t.Errorf("%s was read as %#v", data, c)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range all() {
		data, err := Encode(Entry{Command: c})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Encode(e)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatal(err)
		}
	})
}

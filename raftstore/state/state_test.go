package state

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func reservation(n int, name string) command.ReserveContainer {
	return command.ReserveContainer{Container: model.Container{
		ID: fmt.Sprintf("%064x", n), Name: name, AccountID: "account-1", NodeID: "node-1",
		Created: epoch.Add(time.Duration(n) * time.Millisecond), Operation: fmt.Sprint("op-", n),
		Reserved: model.Resources{Memory: 10, CPU: 10, Disk: 10},
		Spec:     model.ContainerSpec{Image: "busybox", ImageID: "sha256:1", Labels: map[string]string{"app": "x", "image": "overridden"}},
		NICs: []model.NIC{{
			NetworkID: "net-1", Interface: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", n),
			Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 10)}), 24),
		}},
	}}
}

// journal applies commands one after the other.
type journal struct {
	*State
	t     *testing.T
	index uint64
}

func newJournal(t *testing.T) *journal {
	t.Helper()
	j := &journal{State: New(), t: t}
	j.must(testAccount(1), testAccount(2), testNetwork(1), testNode(1, 100))
	return j
}

func (j *journal) try(c command.Command) error {
	j.t.Helper()
	j.index++
	return apply(j.t, j.State, j.index, c)
}

func (j *journal) must(commands ...command.Command) {
	j.t.Helper()
	for _, c := range commands {
		if err := j.try(c); err != nil {
			j.t.Fatalf("%T: %v", c, err)
		}
	}
}

func TestReservationsAreRefusedForGoodReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*model.Container)
		kind   model.Kind
		text   string
	}{
		{"name taken", func(c *model.Container) { c.Name = "web" }, model.KindConflict,
			`Conflict. The container name "/web" is already in use by container "` + fmt.Sprintf("%064x", 1) +
				`". You have to remove (or rename) that container to be able to reuse that name.`},
		{"bad name", func(c *model.Container) { c.Name = "../x" }, model.KindInvalid, ""},
		{"bad id", func(c *model.Container) { c.ID = "abc" }, model.KindInvalid, ""},
		{"id taken", func(c *model.Container) { c.ID = fmt.Sprintf("%064x", 1) }, model.KindConflict, ""},
		{"no account", func(c *model.Container) { c.AccountID = "nobody" }, model.KindNotFound, ""},
		{"no node", func(c *model.Container) { c.NodeID = "nowhere" }, model.KindNotFound, ""},
		{"node not approved", func(c *model.Container) { c.NodeID = "node-2" }, model.KindConflict, ""},
		{"memory", func(c *model.Container) { c.Reserved.Memory = 91 }, model.KindExhausted, ""},
		{"CPU beyond its ratio of 4", func(c *model.Container) { c.Reserved.CPU = 391 }, model.KindExhausted, ""},
		{"disk", func(c *model.Container) { c.Reserved.Disk = 91 }, model.KindExhausted, ""},
		{"negative", func(c *model.Container) { c.Reserved.Disk = -1 }, model.KindInvalid, ""},
		{"huge", func(c *model.Container) { c.Reserved.Memory = 1<<63 - 1 }, model.KindInvalid, ""},
		{"address taken", func(c *model.Container) { c.NICs[0].Address = netip.MustParsePrefix("10.0.0.11/24") }, model.KindConflict, "Address already in use"},
		{"gateway's address", func(c *model.Container) { c.NICs[0].Address = netip.MustParsePrefix("10.0.0.1/24") }, model.KindInvalid, ""},
		{"foreign address", func(c *model.Container) { c.NICs[0].Address = netip.MustParsePrefix("10.0.1.1/24") }, model.KindInvalid, ""},
		{"no address", func(c *model.Container) { c.NICs[0].Address = netip.Prefix{} }, model.KindInvalid, ""},
		{"MAC taken", func(c *model.Container) { c.NICs[0].MAC = "02:00:00:00:00:01" }, model.KindConflict, ""},
		{"MAC in capitals", func(c *model.Container) { c.NICs[0].MAC = "02:00:00:00:00:AB" }, model.KindInvalid, ""},
		{"one address twice", func(c *model.Container) { c.NICs = append(c.NICs, c.NICs[0]) }, model.KindConflict, ""},
		{"no network", func(c *model.Container) { c.NICs[0].NetworkID = "none" }, model.KindNotFound, ""},
		{"another account's network", func(c *model.Container) { c.NICs[0].NetworkID = "fabric" }, model.KindNotFound, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newJournal(t)
			unapproved := testNode(2, 100)
			unapproved.Node.Approved = false
			fabric := testNetwork(3)
			fabric.Network.ID, fabric.Network.Kind, fabric.Network.AccountID = "fabric", model.NetworkFabric, "account-2"
			j.must(unapproved, fabric, reservation(1, "web"))
			before := rows(t, j.State)
			r := reservation(2, "db")
			c.change(&r.Container)
			err := j.try(r)
			if !model.IsKind(err, c.kind) {
				t.Errorf("got %v, want kind %s", err, c.kind)
			}
			if c.text != "" && model.UserText(err) != c.text {
				t.Errorf("got %q, want %q", model.UserText(err), c.text)
			}
			if diff := cmp.Diff(before, rows(t, j.State)); diff != "" {
				t.Errorf("a refused command changed the state: %s", diff)
			}
		})
	}
}

// rows is the snapshot without the header and the checksum, which change with
// the index.
func rows(t *testing.T, s *State) []string {
	t.Helper()
	var b bytes.Buffer
	if err := s.View().Write(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	return lines[1 : len(lines)-2]
}

func TestRepeatedOperationMakesNoSecondContainer(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(reservation(1, "web"))
	again := reservation(2, "web")
	again.Container.Operation = "op-1"
	j.must(again)
	if got := len(j.View().AllContainers()); got != 1 {
		t.Errorf("there are %d containers", got)
	}
	c, ok := j.View().ContainerByOperation("account-1", "op-1")
	if !ok || c.ID != reservation(1, "web").Container.ID {
		t.Errorf("the operation leads to %q", c.ID)
	}
}

func TestReleaseFreesAllAndOnlyReservations(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(r, command.ReleaseContainer{ID: r.Container.ID}, command.ReleaseContainer{ID: r.Container.ID})
	v := j.View()
	if v.AddressUsed("net-1", netip.MustParseAddr("10.0.0.11")) || v.Promised("node-1") != (model.Resources{}) {
		t.Error("the release left something behind")
	}
	if v.AccountVersion("account-1") == 1 {
		t.Error("the account's version did not change")
	}
	j.must(r, entries("e", entry(1, r, "create")))
	if err := j.try(command.ReleaseContainer{ID: r.Container.ID}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a created container was released: %v", err)
	}
}

func entry(seq uint64, r command.ReserveContainer, action string) model.JournalEntry {
	return model.JournalEntry{Seq: seq, Time: epoch, ContainerID: r.Container.ID, Action: action}
}

func TestAnOlderDiskComesBack(t *testing.T) {
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(r, entries("new disk", entry(1, r, "create")))
	j.must(entries("old disk", entry(7, r, "start"), entry(8, r, "die")))
	if n, _ := j.View().Node(r.Container.NodeID); n.JournalEpoch != "old disk" || n.JournalSeq != 8 {
		t.Errorf("the journal is known to %s %d", n.JournalEpoch, n.JournalSeq)
	}
	if err := j.try(entries("old disk", entry(10, r, "start"))); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a gap in it got %v", err)
	}
	if err := j.try(entries("third disk", entry(0, r, "start"))); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("entry 0 got %v", err)
	}
	j.must(entries("third disk"))
	if n, _ := j.View().Node(r.Container.NodeID); n.JournalEpoch != "old disk" {
		t.Error("an empty batch began a journal")
	}
}

func entries(epoch string, e ...model.JournalEntry) command.CommitJournal {
	return command.CommitJournal{NodeID: "node-1", Epoch: epoch, Entries: e}
}

func TestJournalIsCommittedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(r)
	started := entry(2, r, "start")
	started.State = &model.ContainerState{Status: model.StatusRunning, Pid: 42}
	j.must(entries("e", entry(1, r, "create"), started))
	c, _ := j.View().Container(r.Container.ID)
	if c.Phase != model.PhaseCreated || c.State.Pid != 42 {
		t.Errorf("phase %s, state %+v", c.Phase, c.State)
	}
	if err := j.try(entries("e", entry(4, r, "die"))); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a gap got %v", err)
	}
	died := entry(3, r, "die")
	died.Attributes = map[string]string{"exitCode": "3"}
	j.must(entries("e", started, died))
	var actions []string
	for _, e := range j.View().Events(0, 0) {
		actions = append(actions, e.Action)
	}
	if diff := cmp.Diff([]string{"create", "start", "die"}, actions); diff != "" {
		t.Error(diff)
	}
	events := j.View().Events(0, 0)
	want := map[string]string{"app": "x", "image": "busybox", "name": "web", "exitCode": "3"}
	if diff := cmp.Diff(want, events[2].Attributes); diff != "" {
		t.Error(diff)
	}
	if after := j.View().Events(events[0].Index, events[0].Order); len(after) != 2 || after[0].Action != "start" {
		t.Errorf("after the first event come %d", len(after))
	}
	j.must(entries("new epoch", entry(1, r, "destroy")))
	if _, ok := j.View().Container(r.Container.ID); ok {
		t.Error("a destroyed container is still there")
	}
	n, _ := j.View().Node("node-1")
	if n.JournalEpoch != "new epoch" || n.JournalSeq != 1 {
		t.Errorf("the journal is at %s %d", n.JournalEpoch, n.JournalSeq)
	}
	j.must(reservation(2, "web"))
}

func TestNodeSpeaksOfItsOwnContainersOnly(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(testNode(2, 100), r, command.CommitJournal{NodeID: "node-2", Epoch: "e", Entries: []model.JournalEntry{entry(1, r, "destroy")}})
	if _, ok := j.View().Container(r.Container.ID); !ok {
		t.Error("another node destroyed the container")
	}
	if n := len(j.View().Events(0, 0)); n != 0 {
		t.Errorf("%d events", n)
	}
	if n, _ := j.View().Node("node-2"); n.JournalSeq != 1 {
		t.Errorf("the journal is stuck at %d", n.JournalSeq)
	}
}

func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(r)
	var seq uint64
	for range 3 {
		var e []model.JournalEntry
		for range maxEvents/2 + 7 {
			seq++
			e = append(e, entry(seq, r, "start"))
		}
		j.must(entries("e", e...))
	}
	events := j.View().Events(0, 0)
	if len(events) != maxEvents {
		t.Errorf("%d events are kept, want %d", len(events), maxEvents)
	}
	last := events[len(events)-1]
	if last.Index != j.index || last.Order != maxEvents/2+6 {
		t.Errorf("the last event is %d.%d", last.Index, last.Order)
	}
}

func TestRename(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(r, reservation(2, "db"), command.RenameContainer{ID: r.Container.ID, Name: "www", Time: epoch})
	if _, ok := j.View().ContainerByName("account-1", "web"); ok {
		t.Error("the old name still leads somewhere")
	}
	if c, _ := j.View().ContainerByName("account-1", "www"); c.ID != r.Container.ID {
		t.Error("the new name leads nowhere")
	}
	e := j.View().Events(0, 0)[0]
	if e.Action != "rename" || e.Attributes["oldName"] != "/web" || e.Attributes["name"] != "www" {
		t.Errorf("event %+v", e)
	}
	for name, kind := range map[string]model.Kind{"db": model.KindConflict, "www": model.KindInvalid, "-": model.KindInvalid} {
		if err := j.try(command.RenameContainer{ID: r.Container.ID, Name: name, Time: epoch}); !model.IsKind(err, kind) {
			t.Errorf("renaming to %s got %v", name, err)
		}
	}
}

func TestListsAreNewestFirstAndOfOneAccount(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	other := reservation(9, "other")
	other.Container.AccountID = "account-2"
	j.must(reservation(2, "bb"), reservation(3, "cc"), reservation(1, "aa"), other)
	var names []string
	for _, c := range j.View().Containers("account-1") {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"cc", "bb", "aa"}, names); diff != "" {
		t.Error(diff)
	}
	if got := len(j.View().ContainersByPrefix("account-1", "000")); got != 3 {
		t.Errorf("%d containers begin with 000, want 3", got)
	}
	if got := len(j.View().ContainersOnNode("node-1")); got != 4 {
		t.Errorf("%d containers on the node", got)
	}
}

func TestImageLivesWhileAnythingNeedsIt(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	put := func(account, ref string) command.PutImage {
		return command.PutImage{
			Image: model.Image{ID: "sha256:1", Holders: []string{"node-1"}}, Action: command.ActionPull, Time: epoch,
			Name: model.ImageName{AccountID: account, Ref: ref, ImageID: "sha256:1"},
		}
	}
	known := func() bool { _, ok := j.View().Image("sha256:1"); return ok }
	j.must(put("account-1", "a:latest"), put("account-2", "a:latest"), reservation(1, "web"))
	j.must(command.RemoveImageName{AccountID: "account-1", Ref: "a:latest", Time: epoch})
	j.must(command.DropImageHolder{ImageID: "sha256:1", NodeID: "node-1"})
	j.must(command.RemoveImageName{AccountID: "account-2", Ref: "a:latest", Time: epoch})
	if !known() {
		t.Error("the image is forgotten although a container was made from it")
	}
	j.must(command.ReleaseContainer{ID: reservation(1, "web").Container.ID})
	if known() {
		t.Error("the image is still known")
	}
	var actions []string
	for _, e := range j.View().Events(0, 0) {
		actions = append(actions, e.AccountID+" "+e.Action)
	}
	want := []string{"account-1 pull", "account-2 pull", "account-1 untag", "account-1 delete", "account-2 untag", "account-2 delete"}
	if diff := cmp.Diff(want, actions); diff != "" {
		t.Error(diff)
	}
}

func TestAccountsAndKeys(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	key := model.Key{Name: "laptop", Public: "ssh-ed25519 AAAA", SHA256: "SHA256:x"}
	j.must(testAccount(1), command.AddKey{AccountID: "account-1", Key: key}, command.AddKey{AccountID: "account-1", Key: key})
	other := key
	other.SHA256 = "SHA256:y"
	if err := j.try(command.AddKey{AccountID: "account-1", Key: other}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a second key of one name got %v", err)
	}
	if a, _ := j.View().AccountByLogin("user1"); len(a.Keys) != 1 {
		t.Errorf("the account has %d keys", len(a.Keys))
	}
	version := j.View().AccountVersion("account-1")
	j.must(command.RemoveKey{AccountID: "account-1", SHA256: "SHA256:x"})
	if j.View().AccountVersion("account-1") == version {
		t.Error("the account's version did not change")
	}
	j.must(reservation(1, "web"))
	if err := j.try(command.RemoveAccount{ID: "account-1"}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("an account with containers was removed: %v", err)
	}
	if err := j.try(command.RemoveNode{ID: "node-1"}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a node with containers was removed: %v", err)
	}
	j.must(command.ReleaseContainer{ID: reservation(1, "web").Container.ID},
		command.RemoveAccount{ID: "account-1"}, command.RemoveNode{ID: "node-1"})
	if j.View().AccountVersion("account-1") != 0 {
		t.Error("the removed account still has a version")
	}
}

func TestNetworkInUseKeepsItsSubnet(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(reservation(1, "web"))
	n := testNetwork(1)
	n.Network.Resolvers = []netip.Addr{netip.MustParseAddr("10.0.0.3")}
	j.must(n)
	n.Network.Gateway = netip.MustParseAddr("10.0.0.9")
	if err := j.try(n); !model.IsKind(err, model.KindConflict) {
		t.Errorf("the gateway of a network in use changed: %v", err)
	}
	j.must(command.ReleaseContainer{ID: reservation(1, "web").Container.ID}, n)
}

func TestNodeKeepsItsPlaceInTheJournal(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	j.must(r, entries("e", entry(1, r, "create")))
	n := testNode(1, 0)
	n.Node.Info = model.NodeInfo{}
	n.Node.Cordoned = true
	j.must(n)
	got, _ := j.View().Node("node-1")
	if got.JournalEpoch != "e" || got.JournalSeq != 1 || got.Info.Capacity.Memory != 100 || !got.Cordoned {
		t.Errorf("the node is now %+v", got)
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := someState(t).View().Write(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.String()
	for name, data := range map[string]string{
		"empty":            "",
		"cut":              whole[:len(whole)-100],
		"last line gone":   whole[:strings.LastIndex(strings.TrimSpace(whole), "\n")+1],
		"a value changed":  strings.Replace(whole, "user1", "user7", 1),
		"a row gone":       strings.Replace(whole, `{"t":"settings","r":{"name":"a","value":"b"}}`+"\n", "", 1),
		"something else":   "hello\n",
		"a row that lacks": strings.Replace(whole, `"t":"settings"`, `"t":""`, 1),
	} {
		if _, err := Restore(strings.NewReader(data)); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	for name, data := range map[string]string{
		"version": strings.Replace(whole, `"version":1`, `"version":2`, 1),
		"table":   strings.Replace(whole, `"t":"settings"`, `"t":"unheard_of"`, 1),
	} {
		var newer *NewerError
		if _, err := Restore(strings.NewReader(data)); !errors.As(err, &newer) {
			t.Errorf("a newer %s got %v", name, err)
		}
	}
}

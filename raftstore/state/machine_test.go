package state

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// The generators draw from few values, so that commands meet each other.

func accountID(t *rapid.T) string {
	return fmt.Sprintf("account-%d", rapid.IntRange(1, 3).Draw(t, "account"))
}
func nodeID(t *rapid.T) string { return fmt.Sprintf("node-%d", rapid.IntRange(1, 2).Draw(t, "node")) }
func imageID(t *rapid.T) string {
	return fmt.Sprintf("sha256:%d", rapid.IntRange(1, 3).Draw(t, "image"))
}
func imageRef(t *rapid.T) string {
	return fmt.Sprintf("docker.io/library/i%d:latest", rapid.IntRange(1, 2).Draw(t, "ref"))
}
func containerID(t *rapid.T) string {
	return fmt.Sprintf("%064x", rapid.IntRange(1, 8).Draw(t, "container"))
}
func packageName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"p", "q"}).Draw(t, "package")
}
func containerName(t *rapid.T) string {
	return fmt.Sprintf("name%d", rapid.IntRange(1, 5).Draw(t, "name"))
}

func randomCommand(t *rapid.T) command.Command {
	now := epoch.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "time")) * time.Second)
	switch rapid.IntRange(0, 44).Draw(t, "command") {
	case 0:
		id := accountID(t)
		return command.CreateAccount{Account: model.Account{ID: id, Login: "user" + id[len(id)-1:], Policy: model.PolicyTenant, Created: now}}
	case 1:
		return command.RemoveAccount{ID: accountID(t)}
	case 2:
		n := rapid.IntRange(1, 3).Draw(t, "key")
		return command.AddKey{AccountID: accountID(t), Key: model.Key{Name: fmt.Sprint("k", n), Public: fmt.Sprint("ssh-ed25519 ", n), SHA256: fmt.Sprint("SHA256:", n)}}
	case 3:
		return command.RemoveKey{AccountID: accountID(t), SHA256: fmt.Sprint("SHA256:", rapid.IntRange(1, 3).Draw(t, "key"))}
	case 4:
		return testNetwork(rapid.IntRange(1, 2).Draw(t, "network"))
	case 5:
		n := rapid.IntRange(1, 2).Draw(t, "node")
		return testNode(n, rapid.Int64Range(0, 4).Draw(t, "capacity"))
	case 6:
		return command.RemoveNode{ID: nodeID(t)}
	case 7, 8, 9:
		return randomReservation(t, now)
	case 10:
		return command.ReleaseContainer{ID: containerID(t)}
	case 11:
		return command.RenameContainer{ID: containerID(t), Name: containerName(t), Time: now}
	case 12, 13:
		return randomJournal(t, now)
	case 14:
		return command.LoseContainer{ID: containerID(t), Reason: "lost", Time: now}
	case 15:
		return command.ForgetContainer{ID: containerID(t), Time: now}
	case 16:
		id := imageID(t)
		return command.PutImage{
			Image:  model.Image{ID: id, Holders: []string{nodeID(t)}, Created: now},
			Name:   model.ImageName{AccountID: accountID(t), Ref: imageRef(t), ImageID: id, Updated: now},
			Action: rapid.SampledFrom([]string{command.ActionPull, command.ActionTag}).Draw(t, "action"), Time: now,
		}
	case 17:
		id := imageID(t)
		return command.PutImage{
			Image:  model.Image{ID: id, Holders: []string{nodeID(t)}, Created: now},
			Name:   model.ImageName{AccountID: accountID(t), Ref: id, ImageID: id, Updated: now},
			Action: command.ActionTag, Time: now,
		}
	case 18, 19:
		return command.ReserveUpdate{
			ID: containerID(t), Operation: updateOperation(t), Package: "p", Before: randomLimits(t), Time: now,
			Needs: model.Resources{Memory: rapid.Int64Range(0, 3).Draw(t, "memory"), CPU: rapid.Int64Range(0, 2).Draw(t, "cpu")},
		}
	case 20:
		return command.ReleaseUpdate{ID: containerID(t), Operation: updateOperation(t)}
	case 21:
		return command.RemoveLink{ID: containerID(t), Alias: rapid.SampledFrom([]string{"a0", "a1"}).Draw(t, "alias")}
	case 22:
		return command.LinksTold{ID: containerID(t)}
	case 23:
		return command.RecordEvent{Event: model.Event{AccountID: accountID(t), Type: "container", Action: "prune", Time: now}}
	case 24:
		return command.SetAccountLimits{AccountID: accountID(t), Limits: model.AccountLimits{
			Containers: rapid.Int64Range(-1, 3).Draw(t, "containers"), Memory: rapid.Int64Range(-1, 4).Draw(t, "memory limit"),
		}}
	case 25:
		return command.PutPackage{Package: model.Package{Name: packageName(t), Memory: rapid.Int64Range(1, 2).Draw(t, "size"), Active: true, Default: rapid.Bool().Draw(t, "default")}}
	case 26:
		return command.RemovePackage{Name: packageName(t)}
	case 28, 29:
		return command.MoveContainer{
			ID: containerID(t), From: nodeID(t), To: nodeID(t), Generation: rapid.IntRange(1, 2).Draw(t, "generation"),
			Reserved: model.Resources{Memory: rapid.Int64Range(0, 2).Draw(t, "memory")}, Time: now,
		}
	case 30:
		return command.SettleMove{ID: containerID(t), Generation: 1}
	case 31:
		return command.FindContainer{ID: containerID(t), NodeID: nodeID(t), State: model.ContainerState{Status: model.StatusRunning}}
	case 32:
		return command.ConnectNIC{ContainerID: containerID(t), NIC: randomNIC(t, 2), Time: now}
	case 33:
		return command.DisconnectNIC{ContainerID: containerID(t), NetworkID: networkID(t), Time: now}
	case 34, 35:
		return command.AskTransfer{ID: containerID(t), Operation: "t", Time: now}
	case 36, 37, 38, 39:
		return command.StepTransfer{
			ID: containerID(t), Operation: "t", To: nodeID(t), Reserved: model.Resources{Memory: rapid.Int64Range(0, 2).Draw(t, "memory")},
			Step: rapid.SampledFrom([]model.TransferStep{model.TransferCopying, model.TransferStopping, model.TransferUndoing}).Draw(t, "step"),
		}
	case 40, 41:
		return command.CompleteTransfer{ID: containerID(t), Operation: "t", Time: now}
	case 42:
		return command.EndTransfer{ID: containerID(t), Operation: "t", Time: now}
	case 43, 44:
		return command.DropFormer{ID: containerID(t), Former: model.FormerCopy{NodeID: nodeID(t), Generation: rapid.IntRange(0, 2).Draw(t, "former")}}
	}
	if rapid.Bool().Draw(t, "holder") {
		return command.DropImageHolder{ImageID: imageID(t), NodeID: nodeID(t)}
	}
	return command.RemoveImageName{AccountID: accountID(t), Ref: imageRef(t), Time: now}
}

func updateOperation(t *rapid.T) string {
	return fmt.Sprint("u", rapid.IntRange(1, 2).Draw(t, "update"))
}

func randomLimits(t *rapid.T) model.Limits {
	return model.Limits{Memory: rapid.Int64Range(0, 3).Draw(t, "limit")}
}

func randomReservation(t *rapid.T, now time.Time) command.Command {
	c := model.Container{
		ID: containerID(t), Name: containerName(t), AccountID: accountID(t), NodeID: nodeID(t), Created: now, Package: packageName(t),
		Reserved: model.Resources{Memory: rapid.Int64Range(0, 2).Draw(t, "memory"), CPU: rapid.Int64Range(0, 2).Draw(t, "cpu")},
		Spec:     model.ContainerSpec{Image: "i", ImageID: imageID(t)},
	}
	c.Spec.Limits.Memory = c.Reserved.Memory
	if rapid.Bool().Draw(t, "movable") {
		c.Spec.Labels = map[string]string{model.LabelReschedule: "true"}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "links") {
		alias := fmt.Sprint("a", i)
		c.Spec.Links = append(c.Spec.Links, model.Link{
			ContainerID: containerID(t), Name: "n", Alias: alias, Env: []string{model.LinkNameVariable(c.Name, alias)},
		})
	}
	if rapid.Bool().Draw(t, "has operation") {
		c.Operation = fmt.Sprint("op", rapid.IntRange(1, 6).Draw(t, "operation"))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "nics") {
		c.NICs = append(c.NICs, randomNIC(t, i))
	}
	return command.ReserveContainer{Container: c}
}

func networkID(t *rapid.T) string {
	return fmt.Sprint("net-", rapid.IntRange(1, 2).Draw(t, "network"))
}

func randomNIC(t *rapid.T, i int) model.NIC {
	n := rapid.IntRange(2, 6).Draw(t, "address")
	return model.NIC{
		NetworkID: networkID(t), Interface: fmt.Sprint("eth", i),
		MAC:     fmt.Sprintf("02:00:00:00:00:%02x", rapid.IntRange(1, 9).Draw(t, "mac")),
		Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 24),
	}
}

func randomJournal(t *rapid.T, now time.Time) command.Command {
	c := command.CommitJournal{NodeID: nodeID(t), Epoch: rapid.SampledFrom([]string{"e1", "e2"}).Draw(t, "epoch")}
	seq := rapid.Uint64Range(1, 4).Draw(t, "seq")
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		e := model.JournalEntry{
			Seq: seq, Time: now, ContainerID: containerID(t),
			Action: rapid.SampledFrom([]string{"create", "start", "die", "destroy", "update"}).Draw(t, "action"),
		}
		if e.Action == "start" {
			e.State = &model.ContainerState{Status: model.StatusRunning, Pid: 1, StartedAt: now}
		}
		if e.Action == "update" {
			e.Update = randomUpdate(t)
		}
		c.Entries = append(c.Entries, e)
		seq++
	}
	return c
}

func randomUpdate(t *rapid.T) *model.ContainerUpdate {
	u := &model.ContainerUpdate{Operation: updateOperation(t)}
	if rapid.Bool().Draw(t, "limits") {
		l := randomLimits(t)
		u.Limits = &l
	}
	if rapid.Bool().Draw(t, "restart") {
		u.Restart = &model.RestartPolicy{Name: "always"}
	}
	return u
}

func testNetwork(n int) command.PutNetwork {
	return command.PutNetwork{Network: model.Network{
		ID: fmt.Sprint("net-", n), Name: fmt.Sprint("network", n), Kind: model.NetworkExternal, Default: true, NICTag: fmt.Sprint("tag", n),
		Subnet: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"),
		First: netip.MustParseAddr("10.0.0.2"), Last: netip.MustParseAddr("10.0.0.254"),
	}}
}

func testNode(n int, capacity int64) command.PutNode {
	return command.PutNode{Node: model.Node{
		ID: fmt.Sprint("node-", n), Name: fmt.Sprint("n", n), Approved: true, Joined: epoch,
		Info: model.NodeInfo{Hostname: fmt.Sprint("n", n), Capacity: model.Resources{Memory: capacity, CPU: capacity, Disk: capacity}},
	}}
}

func testAccount(n int) command.CreateAccount {
	return command.CreateAccount{Account: model.Account{
		ID: fmt.Sprint("account-", n), Login: fmt.Sprint("user", n), Policy: model.PolicyTenant, Created: epoch,
	}}
}

func hashOf(t interface{ Fatal(...any) }, s *State) string {
	h, err := s.View().Hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// apply sends c through the log's form, as raft does.
func apply(t interface{ Fatal(...any) }, s *State, index uint64, c command.Command) error {
	_, err := applyAs(t, s, index, "", c)
	return err
}

// applyAs is apply for a request with an id.
func applyAs(t interface{ Fatal(...any) }, s *State, index uint64, id string, c command.Command) (uint64, error) {
	data, err := command.Encode(command.Entry{Request: id, Command: c})
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := command.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return s.Apply(index, decoded)
}

// containersOf is all that the state says of containers.
func containersOf(s *State) string {
	var out strings.Builder
	for _, c := range s.View().AllContainers() {
		fmt.Fprintf(&out, "%+v\n", *c)
	}
	return out.String()
}

func TestAnyCommandsKeepThePromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := New(), New()
		var index uint64
		answered := map[string]string{} // by request
		ids := []string{""}
		both := func(c command.Command) {
			index++
			id := rapid.SampledFrom(ids).Draw(t, "request")
			before := containersOf(a)
			atA, errA := applyAs(t, a, index, id, c)
			_, errB := applyAs(t, b, index, id, c)
			answer := fmt.Sprint(atA, errA)
			if first, again := answered[id]; id != "" && again {
				if answer != first || containersOf(a) != before {
					t.Fatalf("%T: a request was answered with %s, and its repetition with %s", c, first, answer)
				}
			}
			answered[id] = answer
			if fmt.Sprint(errA) != fmt.Sprint(errB) {
				t.Fatalf("%T: one replica says %v, the other %v", c, errA, errB)
			}
			if errA != nil && model.IsKind(errA, model.KindInternal) {
				t.Fatalf("%T: %v", c, errA)
			}
			if errA != nil && a.View().Index() != index {
				t.Fatalf("a refused entry left index %d, want %d", a.View().Index(), index)
			}
			checkPromises(t, a.View())
		}
		for n := range 3 {
			both(testAccount(n + 1))
		}
		both(testNetwork(1))
		both(testNetwork(2))
		both(testNode(1, 4))
		both(testNode(2, 4))
		ids = []string{"", "", "r1", "r2", "r3"}
		for range rapid.IntRange(0, 40).Draw(t, "length") {
			both(randomCommand(t))
		}
		if hashOf(t, a) != hashOf(t, b) {
			t.Fatal("the replicas' states differ")
		}
		checkRestore(t, a)
	})
}

// checkPromises looks at all containers anew for what the state promises.
func checkPromises(t *rapid.T, v *View) {
	names, addresses, macs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	sums, counts := map[string]model.Resources{}, map[string]int{}
	claim := func(taken map[string]bool, what, who string) {
		if taken[what] {
			t.Fatalf("%s is held twice, the second time by %s", what, who)
		}
		taken[what] = true
	}
	for _, c := range v.AllContainers() {
		claim(names, c.AccountID+"/"+c.Name, c.ID)
		if c.Operation != "" {
			claim(names, c.AccountID+" "+c.Operation, c.ID)
		}
		for _, n := range slices.Concat(c.NICs, c.Leaving) {
			claim(addresses, n.NetworkID+" "+n.Address.Addr().String(), c.ID)
			claim(macs, n.MAC, c.ID)
			if !v.AddressUsed(n.NetworkID, n.Address.Addr()) || !v.MACUsed(n.MAC) {
				t.Fatalf("the addresses of %s are not known as used", c.ID)
			}
		}
		sums[c.NodeID] = sums[c.NodeID].Add(c.Reserved)
		sums[c.AccountID] = sums[c.AccountID].Add(c.Reserved)
		counts[c.AccountID]++
		counts["package "+c.Package]++
		counts[c.NodeID]++
		if way := c.Transfer; way != nil && way.To != "" {
			sums[way.To] = sums[way.To].Add(way.Reserved)
			counts[way.To]++
		}
		needs := c.Spec.Limits.Needs(c.Reserved)
		if c.Update == nil && c.Reserved.Memory != needs.Memory || c.Reserved.Memory < needs.Memory {
			t.Fatalf("container %s is promised %+v and needs %+v; its update is %+v", c.ID, c.Reserved, needs, c.Update)
		}
		checkLinksOf(t, v, c)
		checkUnfinished(t, v, c)
		if _, ok := v.Account(c.AccountID); !ok {
			t.Fatalf("container %s has no account", c.ID)
		}
		if _, ok := v.Node(c.NodeID); !ok {
			t.Fatalf("container %s has no node", c.ID)
		}
	}
	for _, vol := range v.AllVolumes() {
		sums[vol.NodeID] = sums[vol.NodeID].Add(model.Resources{Disk: vol.Size})
		if way := vol.Move; way != nil && way.Step == model.TransferCopying {
			sums[way.To] = sums[way.To].Add(model.Resources{Disk: vol.Size})
		}
	}
	for _, n := range v.Nodes() {
		if got := v.Promised(n.ID); got != sums[n.ID] || v.PromisedTo(n.ID) != counts[n.ID] {
			t.Fatalf("node %s has promised %+v to %d, its containers sum up to %+v of %d",
				n.ID, got, v.PromisedTo(n.ID), sums[n.ID], counts[n.ID])
		}
	}
	for _, a := range v.Accounts() {
		if n, r := v.Holdings(a.ID); n != counts[a.ID] || r != sums[a.ID] {
			t.Fatalf("account %s holds %d containers and %+v, they are %d with %+v", a.ID, n, r, counts[a.ID], sums[a.ID])
		}
	}
	for _, p := range v.Packages() {
		if n := v.Sized(p.Name); n != counts["package "+p.Name] || p.Removed && n == 0 {
			t.Fatalf("package %+v is said to be of %d containers, and is of %d", p, n, counts["package "+p.Name])
		}
	}
	for _, n := range v.Networks() {
		for host := range byte(8) {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, host})
			if v.AddressUsed(n.ID, addr) != addresses[n.ID+" "+addr.String()] {
				t.Fatalf("address %s is not in the state that its containers say", addr)
			}
		}
	}
	defaults := 0
	for _, n := range v.Networks() {
		if n.Default {
			defaults++
		}
	}
	if defaults > 1 {
		t.Fatalf("%d networks are the default", defaults)
	}
}

// checkLinksOf looks whether the links of c lead to the account's containers,
// by their names of now, and say its own.
func checkLinksOf(t *rapid.T, v *View, c *model.Container) {
	for _, l := range c.Spec.Links {
		other, ok := v.Container(l.ContainerID)
		if !ok || other.AccountID != c.AccountID {
			t.Fatalf("container %s is linked to %s, which is not there for it", c.ID, l.ContainerID)
		}
		if l.Env[0] != model.LinkNameVariable(c.Name, l.Alias) {
			t.Fatalf("container %s is called %s and its link says %s", c.ID, c.Name, l.Env[0])
		}
	}
}

// checkUnfinished looks whether c is in those lists where it belongs.
func checkUnfinished(t *rapid.T, v *View, c *model.Container) {
	for what, is := range map[string]bool{
		underReservation: c.Phase == model.PhaseReserved, underUpdate: c.Update != nil, underMove: c.Move != nil,
		underNICs: c.NICsStale && c.Phase != model.PhaseReserved, underTransfer: c.Transfer != nil, underFormer: len(c.Former) > 0,
	} {
		if slices.Contains(v.unfinished(what), c) != is {
			t.Fatalf("container %s: that a %s is under way is %t, and it is not listed like that", c.ID, what, is)
		}
	}
}

func checkRestore(t *rapid.T, s *State) {
	var data bytes.Buffer
	if err := s.View().Write(&data); err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(&data)
	if err != nil {
		t.Fatal(err)
	}
	if hashOf(t, restored) != hashOf(t, s) {
		t.Fatal("the restored state differs")
	}
	checkPromises(t, restored.View())
	next := s.View().Index() + 1
	for _, st := range []*State{s, restored} {
		if err := apply(t, st, next, testAccount(9)); err != nil {
			t.Fatal(err)
		}
	}
	if hashOf(t, restored) != hashOf(t, s) {
		t.Fatal("the restored state goes another way")
	}
}

package state

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// fabricOf is a fabric of account-1.
func fabricOf(id, name string, vni uint32) command.CreateNetwork {
	return command.CreateNetwork{Network: model.Network{
		ID: id, Name: name, Kind: model.NetworkFabric, AccountID: "account-1", VNI: vni, Created: epoch,
		Subnet: netip.MustParsePrefix("10.9.0.0/24"), Gateway: netip.MustParseAddr("10.9.0.1"),
		First: netip.MustParseAddr("10.9.0.2"), Last: netip.MustParseAddr("10.9.0.254"),
	}}
}

// onFabric is a container on a fabric.
func onFabric(n int, name, network string) command.ReserveContainer {
	r := reservation(n, name)
	r.Container.NICs[0].NetworkID, r.Container.NICs[0].Primary = network, true
	r.Container.NICs[0].Address = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(n + 10)}), 24)
	return r
}

// TestANetworkGoesWhileNothingOnItRuns: its name and subnet are free at once,
// its number on the wire when the nodes have let go of it.
func TestANetworkGoesWhileNothingOnItRuns(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := onFabric(1, "web", "f")
	remove := command.RemoveNetwork{ID: "f", Time: epoch}
	j.must(fabricOf("f", "lan", 7), r)
	if err := j.try(remove); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("removed under a container that is being made: %v", err)
	}
	j.must(entries("epoch", entry(1, r, "create"), started(2, r, epoch)))
	if err := j.try(remove); !model.IsKind(err, model.KindForbidden) || !strings.Contains(model.UserText(err), `active endpoints (name:"web"`) {
		t.Errorf("removed under a container that runs: %v", err)
	}
	end := entry(3, r, "die")
	end.State = &model.ContainerState{Status: model.StatusExited}
	j.must(entries("epoch", end), remove)

	c, _ := j.View().Container(r.Container.ID)
	if len(c.NICs) != 0 || len(c.Leaving) != 1 || !c.NICsStale || len(c.GoneNetworks) != 1 || c.GoneNetworks[0].Name != "lan" {
		t.Errorf("the container that was on it: %+v", c)
	}
	if n, ok := j.View().Network("f"); !ok || n.UsableBy("account-1") || j.View().Used("account-1").Networks != 0 {
		t.Errorf("the network: %+v, %t", n, ok)
	}
	j.must(fabricOf("g", "lan", 8)) // name and subnet are free
	if err := j.try(fabricOf("h", "other", 7)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("its number on the wire was given away: %v", err)
	}
	j.must(remove) // too early
	if _, ok := j.View().Network("f"); !ok {
		t.Fatal("the network is gone before the node has let go of it")
	}
	checked := checkedRestore(t, j)
	j.must(command.NICsTold{ContainerID: c.ID, NICs: c.NICs, Leaving: c.Leaving}, remove)
	if _, ok := j.View().Network("f"); ok {
		t.Error("the network stays")
	}
	if _, ok := checked.Network("f"); !ok {
		t.Error("a snapshot lacks a network that is going")
	}
	j.must(command.DisconnectNIC{ContainerID: c.ID, NetworkID: "f", Time: epoch})
	if c, _ = j.View().Container(c.ID); len(c.GoneNetworks) != 0 || c.NICsStale {
		t.Errorf("after leaving: %+v", c)
	}
}

// checkedRestore is the state as a head sees it that reads its snapshot.
func checkedRestore(t *testing.T, j *journal) *View {
	t.Helper()
	var b strings.Builder
	if err := j.View().Write(&b); err != nil {
		t.Fatal(err)
	}
	s, err := Restore(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return s.View()
}

func TestNetworksOnOneWireGiveOutDifferentAddresses(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	beside := testNetwork(5)
	beside.Network.NICTag = testNetwork(1).Network.NICTag
	if err := j.try(beside); !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "network1") {
		t.Errorf("two networks with the same range on one wire: %v", err)
	}
	beside.Network.VLAN = 9
	j.must(beside)
	third := beside
	third.Network.ID, third.Network.Name = "net-6", "network6"
	if err := j.try(third); !model.IsKind(err, model.KindConflict) {
		t.Errorf("and in one VLAN: %v", err)
	}
}

func TestPools(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	second, other := testNetwork(2), testNetwork(3)
	second.Network.NICTag, second.Network.VLAN = testNetwork(1).Network.NICTag, 2
	j.must(second, other, fabricOf("f", "lan", 7))
	pool := func(networks ...string) command.PutNetworkPool {
		return command.PutNetworkPool{Pool: model.NetworkPool{ID: "p", Name: "public", Networks: networks}}
	}
	for name, bad := range map[string]struct {
		command command.Command
		kind    model.Kind
	}{
		"no networks":   {pool(), model.KindInvalid},
		"no such":       {pool("net-9"), model.KindNotFound},
		"a fabric":      {pool("f"), model.KindInvalid},
		"twice":         {pool("net-1", "net-1"), model.KindInvalid},
		"two NIC tags":  {pool("net-1", "net-3"), model.KindInvalid},
		"network name":  {command.PutNetworkPool{Pool: model.NetworkPool{ID: "p", Name: "network1", Networks: []string{"net-1"}}}, model.KindConflict},
		"nothing there": {command.RemoveNetworkPool{ID: "p"}, model.KindNotFound},
	} {
		if err := j.try(bad.command); !model.IsKind(err, bad.kind) {
			t.Errorf("%s: %v, want %s", name, err, bad.kind)
		}
	}
	good := pool("net-2", "net-1")
	good.Pool.Default = true
	j.must(good)
	if n, _ := j.View().Network("net-3"); n.Default {
		t.Error("two places are the default one")
	}
	if err := j.try(command.RemoveNetwork{ID: "net-1", Time: epoch}); !model.IsKind(err, model.KindForbidden) || !strings.Contains(model.UserText(err), "public") {
		t.Errorf("a network of a pool was removed: %v", err)
	}
	second.Network.NICTag = "elsewhere"
	if err := j.try(second); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a network of a pool moved to another wire: %v", err)
	}
	other.Network.Name = "public"
	if err := j.try(other); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a network has a pool's name: %v", err)
	}
	if _, ok := checkedRestore(t, j).NetworkPoolByName("public"); !ok {
		t.Error("a snapshot lacks the pool")
	}
	j.must(command.RemoveNetworkPool{ID: "p"}, command.RemoveNetwork{ID: "net-1", Time: epoch})
}

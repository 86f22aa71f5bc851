package build

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// homeOf is where an account's images are built.
func homeOf(t *testing.T, c *headtest.Center, s *Service, a model.Account) model.Builder {
	t.Helper()
	pkg, err := defaultPackage(c.Store.View())
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.home(headtest.Context(t), a, pkg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// replaceDefault makes another network the one of containers that name none.
func replaceDefault(t *testing.T, c *headtest.Center) {
	t.Helper()
	n, ok := c.Store.View().NetworkOfAccount("", "external")
	if !ok {
		t.Fatal("there is no network external")
	}
	n.Default = false
	c.Propose(command.PutNetwork{Network: n})
}

// external is a network of the data center of few addresses.
func external(name string, third int) model.Network {
	at := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 89, byte(third), last}) }
	return model.Network{
		ID: model.NewID(), Name: name, Kind: model.NetworkExternal, NICTag: "external",
		Subnet: netip.PrefixFrom(at(0), 29), Gateway: at(1), First: at(2), Last: at(2),
	}
}

// TestStepsOfBuildsAreWhereContainersAre gives builders NICs on what an account's containers
// get that name no network: a network with IPv6, a pool whose first network is used up, and a
// fabric that is made for the account.
func TestStepsOfBuildsAreWhereContainersAre(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	s := New(Config{Store: c.Store, Agents: c.Nodes, Fabrics: c.Networks})
	n, _ := c.Store.View().NetworkOfAccount("", "external")
	n.Subnet6 = netip.MustParsePrefix("fd00:88::/64")
	n = ipam.Complete(n)
	c.Propose(command.PutNetwork{Network: n})
	dual := homeOf(t, c, s, c.Account("dual", model.PolicyTenant))
	if len(dual.NICs) != 1 || dual.NICs[0].NetworkID != n.ID || !n.Subnet6.Contains(dual.NICs[0].Address6.Addr()) {
		t.Errorf("on a network with IPv6 a builder has %+v", dual.NICs)
	}

	replaceDefault(t, c)
	fabric := homeOf(t, c, s, c.Account("fay", model.PolicyTenant))
	v := c.Store.View()
	if len(fabric.NICs) != 1 {
		t.Fatalf("without a network for everybody a builder has %+v", fabric.NICs)
	}
	if on, _ := v.Network(fabric.NICs[0].NetworkID); on.Kind != model.NetworkFabric || on.AccountID != fabric.AccountID {
		t.Errorf("without a network for everybody a builder is on %+v", on)
	}

	first, second := external("one", 1), external("two", 2)
	c.Propose(command.PutNetwork{Network: first})
	c.Propose(command.PutNetwork{Network: second})
	pool := model.NetworkPool{ID: model.NewID(), Name: "both", Networks: []string{first.ID, second.ID}, Default: true}
	c.Propose(command.PutNetworkPool{Pool: pool})
	for i, want := range []model.Network{first, second} {
		b := homeOf(t, c, s, c.Account([]string{"ann", "bob"}[i], model.PolicyTenant))
		if len(b.NICs) != 1 || b.NICs[0].NetworkID != want.ID || b.NICs[0].PoolID != pool.ID {
			t.Errorf("the builder number %d of a pool has %+v, want one on %s", i, b.NICs, want.Name)
		}
	}
	full := c.Account("cid", model.PolicyTenant)
	pkg, err := defaultPackage(c.Store.View())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.home(headtest.Context(t), full, pkg); !model.IsKind(err, model.KindExhausted) {
		t.Errorf("with all addresses given out, a builder has %+v, error %v", b.NICs, err)
	}

	// One from before the data center had a network for builders gets a NIC at its next build.
	old := c.Account("dan", model.PolicyTenant)
	c.Propose(command.PutBuilder{Builder: model.Builder{AccountID: old.ID, NodeID: dual.NodeID}})
	n.Default = true
	c.Propose(command.PutNetwork{Network: n})
	if b := homeOf(t, c, s, old); len(b.NICs) != 1 || b.NICs[0].NetworkID != n.ID {
		t.Errorf("a builder that had no NIC has %+v", b.NICs)
	}
}

// TestBuildsLeaveNodesWhoseStorageFails moves a build's home away from a node with a fault,
// for as long as another one is well.
func TestBuildsLeaveNodesWhoseStorageFails(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	loads := map[string]model.StorageFault{}
	s := New(Config{Store: c.Store, Agents: c.Nodes, Load: func(id string) (model.NodeLoad, bool) {
		return model.NodeLoad{Storage: loads[id]}, true
	}})
	a := c.Account("ann", model.PolicyTenant)
	at := homeOf(t, c, s, a).NodeID
	for _, fault := range []model.StorageFault{model.StorageSilent, model.StorageSuspended, model.StorageFull} {
		clear(loads)
		loads[at] = fault
		next := homeOf(t, c, s, a).NodeID
		if next == at {
			t.Errorf("it builds where the storage %s", fault)
		}
		if again := homeOf(t, c, s, a).NodeID; again != next {
			t.Error("it does not stay where it went")
		}
		at = next
	}
	for _, n := range c.Store.View().Nodes() {
		loads[n.ID] = model.StorageSilent
	}
	pkg, err := defaultPackage(c.Store.View())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.home(headtest.Context(t), a, pkg); !model.IsKind(err, model.KindExhausted) || !strings.Contains(model.UserText(err), "2 have storage that fails") {
		t.Errorf("with no storage that is well: %v", err)
	}
}

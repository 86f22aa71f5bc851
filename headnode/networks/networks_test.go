package networks_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// furnished is a data center of two nodes whose account has an image.
func furnished(t *testing.T) (*headtest.Center, model.Account) {
	t.Helper()
	c := headtest.New(t, 2)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	return c, a
}

func pull(t *testing.T, c *headtest.Center, a model.Account) {
	t.Helper()
	if _, err := c.Images.Pull(headtest.Context(t), a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
}

func fabric(t *testing.T, c *headtest.Center, a model.Account, asked model.Network) model.Network {
	t.Helper()
	n, err := c.Networks.CreateNetwork(headtest.Context(t), a, asked)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func create(t *testing.T, c *headtest.Center, a model.Account, r model.CreateContainer) model.Container {
	t.Helper()
	r.Spec.Image = "busybox"
	made, _, err := c.Containers.Create(headtest.Context(t), a, r)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func on(names ...string) model.CreateContainer {
	r := model.CreateContainer{Spec: model.ContainerSpec{Network: names[0]}}
	for _, n := range names[1:] {
		r.Endpoints = append(r.Endpoints, model.Endpoint{Network: n})
	}
	return r
}

func wantKind(t *testing.T, err error, kind model.Kind, text string) {
	t.Helper()
	if !model.IsKind(err, kind) || !strings.Contains(model.UserText(err), text) {
		t.Errorf("got %v, want kind %s with %q", err, kind, text)
	}
}

// nodeOf is the agent of a container's node.
func nodeOf(c *headtest.Center, made *model.Container) interface {
	NICs(string) []model.NIC
	Networks() wire.NodeNetworks
	Cut(bool)
} {
	n, _ := c.Store.View().Node(made.NodeID)
	return c.Agent(n.Name)
}

func TestAccountsMayHaveTheSameSubnetAndOneMayNot(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	jack := c.Account("jack", model.PolicyTenant)
	subnet := netip.MustParsePrefix("10.20.0.0/16")
	ours := fabric(t, c, jill, model.Network{Name: "lan", Subnet: subnet})
	theirs := fabric(t, c, jack, model.Network{Name: "lan", Subnet: subnet})
	if ours.VNI == theirs.VNI || ours.VNI == 0 || ours.Gateway != netip.MustParseAddr("10.20.0.1") {
		t.Errorf("%+v and %+v", ours, theirs)
	}
	_, err := c.Networks.CreateNetwork(headtest.Context(t), jill, model.Network{Name: "wan", Subnet: netip.MustParsePrefix("10.20.9.0/24")})
	wantKind(t, err, model.KindForbidden, "Pool overlaps")
	_, err = c.Networks.CreateNetwork(headtest.Context(t), jill, model.Network{Name: "lan"})
	wantKind(t, err, model.KindConflict, "network with name lan already exists")
	_, err = c.Networks.CreateNetwork(headtest.Context(t), jill, model.Network{Name: "external"})
	wantKind(t, err, model.KindConflict, "network with name external already exists")
	if err := c.Networks.RemoveNetwork(headtest.Context(t), jack, ours.ID); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("another's network: %v", err)
	}
	wantKind(t, c.Networks.RemoveNetwork(headtest.Context(t), jill, "external"), model.KindForbidden, "pre-defined")
}

func TestSubnetsAreChosenWithoutMeeting(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	var making sync.WaitGroup
	for i := range 12 {
		making.Go(func() { fabric(t, c, jill, model.Network{Name: fmt.Sprintf("n%d", i)}) })
	}
	making.Wait()
	all := c.Store.View().Networks()
	for i, n := range all {
		for _, o := range all[:i] {
			if n.Subnet.Overlaps(o.Subnet) || n.VNI == o.VNI && n.VNI != 0 {
				t.Errorf("%s %s and %s %s", n.Name, n.Subnet, o.Name, o.Subnet)
			}
		}
	}
	if len(all) != 13 {
		t.Errorf("%d networks", len(all))
	}
}

func TestAContainerIsOnSeveralNetworks(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	front := fabric(t, c, jill, model.Network{Name: "front", Subnet: netip.MustParsePrefix("10.20.0.0/16"), Subnet6: netip.MustParsePrefix("fd00:20::/64")})
	fabric(t, c, jill, model.Network{Name: "back", Internal: true})
	r := on("front", "back")
	r.Endpoints = append(r.Endpoints, model.Endpoint{Network: front.ID[:12], Address: netip.MustParseAddr("10.20.3.4"), Aliases: []string{"www"}})
	made := create(t, c, jill, r)
	if len(made.NICs) != 2 {
		t.Fatalf("%+v", made.NICs)
	}
	first, second := made.NICs[0], made.NICs[1]
	if first.Address.String() != "10.20.3.4/16" || !first.Primary || first.Interface != "eth0" || !first.Address6.IsValid() || !slices.Equal(first.Aliases, []string{"www"}) {
		t.Errorf("%+v", first)
	}
	if second.Primary || second.Interface != "eth1" || second.Gateway.IsValid() {
		t.Errorf("%+v", second)
	}
	_, _, err := c.Containers.Create(headtest.Context(t), jill, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox", Network: "front"},
		Endpoints: []model.Endpoint{{Network: "front", Address: netip.MustParseAddr("10.20.3.4")}}})
	wantKind(t, err, model.KindConflict, "Address already in use")
	if err := c.Containers.Start(headtest.Context(t), jill, made.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.Networks.RemoveNetwork(headtest.Context(t), jill, "front"), model.KindForbidden, "active endpoints (name:\""+made.Name)
	if err := c.Containers.Remove(headtest.Context(t), jill, made.ID, wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	removed, err := c.Networks.PruneNetworks(headtest.Context(t), jill, func(n *model.Network) bool { return n.Name != "back" })
	if err != nil || !slices.Equal(removed, []string{"front"}) {
		t.Errorf("%v, %v", removed, err)
	}
}

func TestPublishedPortsNeedAnExternalNetwork(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	fabric(t, c, jill, model.Network{Name: "lan"})
	r := on("lan")
	r.Spec.Ports = []model.Port{{Number: 80, Protocol: "tcp", Published: true, Outside: []uint16{8080}}}
	made := create(t, c, jill, r)
	if len(made.NICs) != 2 || made.NICs[0].Primary || !made.NICs[1].Primary || made.NICs[1].Address.Addr().String()[:6] != "10.88." {
		t.Fatalf("%+v", made.NICs)
	}
	if want := []model.PortMap{{Protocol: "tcp", Port: 8080, Target: 80}}; !slices.Equal(made.NICs[1].Ports, want) || !made.NICs[1].Firewall {
		t.Errorf("%+v", made.NICs[1])
	}
	r.Spec.Ports = append(r.Spec.Ports, model.Port{Number: 81, Protocol: "tcp", Published: true, Outside: []uint16{8080}})
	_, _, err := c.Containers.Create(headtest.Context(t), jill, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox", Ports: r.Spec.Ports}})
	wantKind(t, err, model.KindInvalid, "8080/tcp")
}

func TestConnectAndDisconnectReachTheNode(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	ctx := headtest.Context(t)
	lan := fabric(t, c, jill, model.Network{Name: "lan"})
	made := create(t, c, jill, model.CreateContainer{Name: "web"})
	if err := c.Containers.Connect(ctx, jill, "web", model.Endpoint{Network: "lan", Aliases: []string{"db"}}); err != nil {
		t.Fatal(err)
	}
	agent := nodeOf(c, &made)
	now, _ := c.Store.View().Container(made.ID)
	if nics := agent.NICs(made.ID); len(nics) != 2 || len(now.NICs) != 2 || now.NICsStale || nics[1].Interface != "eth1" || nics[1].Primary {
		t.Fatalf("node %+v, state %+v", nics, now.NICs)
	}
	wantKind(t, c.Containers.Connect(ctx, jill, "web", model.Endpoint{Network: "lan"}), model.KindForbidden, "endpoint with name web already exists in network lan")
	c.Until("the node knows who is on lan", func() bool { return member(agent.Networks(), lan.ID, made.ID) })
	if err := c.Containers.Disconnect(ctx, jill, "web", "external", false); err != nil {
		t.Fatal(err)
	}
	if nics := agent.NICs(made.ID); len(nics) != 1 || nics[0].NetworkID != lan.ID || !nics[0].Primary {
		t.Errorf("%+v", nics)
	}
	wantKind(t, c.Containers.Disconnect(ctx, jill, "web", "external", false), model.KindForbidden, "is not connected to network")
	none := create(t, c, jill, on("none"))
	wantKind(t, c.Containers.Connect(ctx, jill, none.ID, model.Endpoint{Network: "lan"}), model.KindInvalid, "private (none) mode")
}

// member reports whether a node was told that a container is on a network.
func member(d wire.NodeNetworks, networkID, containerID string) bool {
	for _, n := range d.Networks {
		if n.Network.ID == networkID {
			return slices.ContainsFunc(n.Members, func(m model.Member) bool { return m.ContainerID == containerID })
		}
	}
	return false
}

// TestANodeThatIsAwayIsToldLater: a connection that its node did not hear of is
// taken back, and the address is nobody's until the node has.
func TestANodeThatIsAwayIsToldLater(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	ctx := headtest.Context(t)
	fabric(t, c, jill, model.Network{Name: "lan"})
	made := create(t, c, jill, model.CreateContainer{Name: "web"})
	nodeOf(c, &made).Cut(true)
	if err := c.Containers.Connect(ctx, jill, "web", model.Endpoint{Network: "lan"}); err == nil {
		t.Fatal("a container was connected while its node was away")
	}
	now, _ := c.Store.View().Container(made.ID)
	if len(now.NICs) != 1 || len(now.Leaving) != 1 || !c.Store.View().AddressUsed(now.Leaving[0].NetworkID, now.Leaving[0].Address.Addr()) {
		t.Fatalf("NICs %+v, leaving %+v", now.NICs, now.Leaving)
	}
	lan := now.Leaving[0].NetworkID
	if err := c.Networks.RemoveNetwork(ctx, jill, "lan"); err != nil {
		t.Error(err)
	}
	if n, ok := c.Store.View().Network(lan); !ok || !n.Removing {
		t.Errorf("a network is gone that the node still has: %+v", n)
	}
	nodeOf(c, &made).Cut(false)
	c.Until("the node was told", func() bool {
		now, _ := c.Store.View().Container(made.ID)
		_, there := c.Store.View().Network(lan)
		return !now.NICsStale && len(now.Leaving) == 0 && !there
	})
}

// TestAStoppedContainerOfARemovedNetwork does not start until it has left it,
// as with Docker.
func TestAStoppedContainerOfARemovedNetwork(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	ctx := headtest.Context(t)
	lan := fabric(t, c, jill, model.Network{Name: "lan"})
	made := create(t, c, jill, on("lan"))
	if removed, err := c.Networks.PruneNetworks(ctx, jill, func(*model.Network) bool { return true }); err != nil || !slices.Equal(removed, []string{"lan"}) {
		t.Fatalf("%v, %v", removed, err)
	}
	wantKind(t, c.Containers.Start(ctx, jill, made.ID), model.KindNotFound, "network "+lan.ID+" not found")
	fabric(t, c, jill, model.Network{Name: "other", Subnet: lan.Subnet})
	wantKind(t, c.Containers.Disconnect(ctx, jill, made.ID, "lan", false), model.KindNotFound, "network lan not found")
	for _, err := range []error{
		c.Containers.Disconnect(ctx, jill, made.ID, "lan", true),
		c.Containers.Connect(ctx, jill, made.ID, model.Endpoint{Network: "other"}),
		c.Containers.Start(ctx, jill, made.ID),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	c.Until("the removed network is forgotten", func() bool {
		_, there := c.Store.View().Network(lan.ID)
		return !there
	})
	if nics := nodeOf(c, &made).NICs(made.ID); len(nics) != 1 || nics[0].NetworkID == lan.ID {
		t.Errorf("the node has %+v", nics)
	}
}

// second is a network beside the one that all have.
func second(c *headtest.Center, name, subnet string, vlan uint16) model.Network {
	n := ipam.Complete(model.Network{
		ID: model.NewID(), Name: name, Kind: model.NetworkExternal, NICTag: "external", VLAN: vlan, Subnet: netip.MustParsePrefix(subnet),
	})
	c.Propose(command.PutNetwork{Network: n})
	return n
}

// TestAPoolGivesTheFirstFreeAddress of its networks, in their order.
func TestAPoolGivesTheFirstFreeAddress(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	ctx := headtest.Context(t)
	small, large := second(c, "small", "198.51.100.0/30", 2), second(c, "large", "203.0.113.0/24", 3) // RFC 5737
	pool := model.NetworkPool{ID: model.NewID(), Name: "public", Networks: []string{small.ID, large.ID}}
	c.Propose(command.PutNetworkPool{Pool: pool})
	first, next := create(t, c, jill, on("public")), create(t, c, jill, on(pool.ID[:12]))
	if first.NICs[0].NetworkID != small.ID || next.NICs[0].NetworkID != large.ID || next.NICs[0].PoolID != pool.ID || next.Spec.Network != "public" {
		t.Errorf("%+v and %+v", first.NICs, next.NICs)
	}
	asked := on("public")
	asked.Endpoints = []model.Endpoint{{Network: "public", Address: netip.MustParseAddr("203.0.113.77")}}
	if made := create(t, c, jill, asked); made.NICs[0].Address.String() != "203.0.113.77/24" {
		t.Errorf("%+v", made.NICs)
	}
	asked.Endpoints[0].Address = netip.MustParseAddr("192.0.2.1")
	asked.Spec.Image = "busybox"
	_, _, err := c.Containers.Create(ctx, jill, asked)
	wantKind(t, err, model.KindInvalid, "does not belong to any of this network's subnets")

	web := create(t, c, jill, model.CreateContainer{Name: "web"})
	if err := c.Containers.Connect(ctx, jill, "web", model.Endpoint{Network: "public"}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.Containers.Connect(ctx, jill, "web", model.Endpoint{Network: "public"}), model.KindForbidden, "already exists in network public")
	if nics := nodeOf(c, &web).NICs(web.ID); len(nics) != 2 || nics[1].NetworkID != large.ID {
		t.Errorf("%+v", nics)
	}
	if err := c.Containers.Disconnect(ctx, jill, "web", "public", false); err != nil {
		t.Error(err)
	}
	pool.Accounts = []string{"another"}
	c.Propose(command.PutNetworkPool{Pool: pool})
	_, _, err = c.Containers.Create(ctx, jill, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox", Network: "public"}})
	wantKind(t, err, model.KindInvalid, "network public not found")
}

// TestALabelSaysWherePortsArePublished, on a network or a pool.
func TestALabelSaysWherePortsArePublished(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	dmz, other := second(c, "dmz", "198.51.100.0/24", 2), second(c, "other", "203.0.113.0/24", 3)
	c.Propose(command.PutNetworkPool{Pool: model.NetworkPool{ID: model.NewID(), Name: "public", Networks: []string{other.ID}}})
	fabric(t, c, jill, model.Network{Name: "lan"})
	labelled := func(label string, published bool) model.CreateContainer {
		r := on("lan")
		r.Spec.Image, r.Spec.Labels = "busybox", map[string]string{"triton.network.public": label}
		r.Spec.Ports = []model.Port{{Number: 80, Protocol: "tcp", Published: published}}
		return r
	}
	for label, want := range map[string]string{"dmz": dmz.ID, dmz.ID[:10]: dmz.ID, "public": other.ID} {
		made := create(t, c, jill, labelled(label, true))
		if len(made.NICs) != 2 || made.NICs[1].NetworkID != want || !made.NICs[1].Primary || made.NICs[0].Primary {
			t.Errorf("%s: %+v", label, made.NICs)
		}
	}
	for name, bad := range map[string]struct {
		request model.CreateContainer
		text    string
	}{
		"no such network": {labelled("moon", true), "invalid label triton.network.public: network moon not found"},
		"a fabric":        {labelled("lan", true), "lan is no external network"},
		"nothing to do":   {labelled("dmz", false), "requires a published port"},
	} {
		if _, _, err := c.Containers.Create(headtest.Context(t), jill, bad.request); !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), bad.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNodesKnowTheirNetworksOnly: of the same names and addresses, a node hears
// of those accounts that have something on it.
func TestNodesKnowTheirNetworksOnly(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	jack := c.Account("jack", model.PolicyTenant)
	pull(t, c, jack)
	var made []model.Container
	for i, a := range []model.Account{jill, jill, jack} {
		if i != 1 {
			fabric(t, c, a, model.Network{Name: "lan", Subnet: netip.MustParsePrefix("10.20.0.0/16")})
		}
		made = append(made, create(t, c, a, on("lan")))
	}
	if made[0].NodeID == made[1].NodeID {
		t.Fatalf("two containers are not spread over two nodes: %s", made[0].NodeID)
	}
	ours, theirs := made[0].NICs[0].NetworkID, made[2].NICs[0].NetworkID
	for _, m := range made[:2] {
		c.Until("both nodes know both containers", func() bool {
			d := nodeOf(c, &m).Networks()
			return member(d, ours, made[0].ID) && member(d, ours, made[1].ID) && (member(d, theirs, made[2].ID) == (m.NodeID == made[2].NodeID))
		})
	}
	if err := c.Containers.Remove(headtest.Context(t), jill, made[0].ID, wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	c.Until("a removed container is forgotten", func() bool { return !member(nodeOf(c, &made[1]).Networks(), ours, made[0].ID) })
}

func TestAnAccountGetsAFabricWhereThereIsNoNetworkForAll(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	for _, n := range c.Store.View().Networks() {
		shared := *n
		shared.Default = false
		c.Propose(command.PutNetwork{Network: shared})
	}
	var made [2]model.Container
	var making sync.WaitGroup
	for i := range made {
		making.Go(func() { made[i] = create(t, c, jill, model.CreateContainer{}) })
	}
	making.Wait()
	n, ok := c.Store.View().Network(made[0].NICs[0].NetworkID)
	if !ok || n.AccountID != jill.ID || !n.Default || made[1].NICs[0].NetworkID != n.ID {
		t.Errorf("%+v", n)
	}
}

// TestRulesFollowTags: what a node is told of the firewall changes with rules
// and with the containers that they name.
func TestRulesFollowTags(t *testing.T) {
	t.Parallel()
	c, jill := furnished(t)
	tagged := func(name, role string) model.Container {
		return create(t, c, jill, model.CreateContainer{Name: name, Spec: model.ContainerSpec{Labels: map[string]string{"role": role}}})
	}
	www, db := tagged("www", "www"), tagged("db", "db")
	rule := model.Rule{ID: "r1", AccountID: jill.ID, Text: "FROM tag role = www TO tag role = db BLOCK tcp PORT 5432", Enabled: true}
	c.Propose(command.PutRule{Rule: rule})
	told := func(of *model.Container) (f model.Firewall, sets map[string]int) {
		d := nodeOf(c, of).Networks()
		sets = map[string]int{}
		for _, s := range d.Sets {
			sets[s.ID] = len(s.Prefixes)
		}
		for _, f := range d.Firewalls {
			if f.ContainerID == of.ID {
				return f, sets
			}
		}
		return f, sets
	}
	c.Until("the rule holds on both sides", func() bool {
		in, from := told(&db)
		out, to := told(&www)
		return len(in.Rules) == 1 && in.Rules[0].Inbound && !in.Rules[0].Allow && from[in.Rules[0].Sets[0]] == 1 &&
			len(out.Rules) == 1 && !out.Rules[0].Inbound && to[out.Rules[0].Sets[0]] == 1
	})
	tagged("www2", "www")
	c.Until("another container is meant too", func() bool {
		in, from := told(&db)
		return len(in.Rules) == 1 && from[in.Rules[0].Sets[0]] == 2
	})
	rule.Enabled = false
	c.Propose(command.PutRule{Rule: rule})
	c.Until("a disabled rule is forgotten", func() bool {
		in, _ := told(&db)
		return len(in.Rules) == 0
	})
}

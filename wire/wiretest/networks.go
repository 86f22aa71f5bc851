package wiretest

import (
	"context"
	"net/netip"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// SetNetworks implements wire.Agent.
func (a *Agent) SetNetworks(_ context.Context, d wire.NodeNetworks) (wire.NetworksVersion, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	next, err := a.networks.Apply(d)
	if err == nil {
		a.networks = next
	}
	return wire.NetworksVersion{Version: a.networks.Version}, err
}

// Connect implements wire.Agent.
func (a *Agent) Connect(_ context.Context, id string, r wire.ConnectRequest) (wire.Ack, error) {
	return a.rewire(id, r.NIC.NetworkID, r.NIC)
}

// Disconnect implements wire.Agent.
func (a *Agent) Disconnect(_ context.Context, id string, r wire.DisconnectRequest) (wire.Ack, error) {
	return a.rewire(id, r.NetworkID)
}

func (a *Agent) rewire(id, network string, by ...model.NIC) (wire.Ack, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	if mode := c.request.Container.Spec.Network; mode != "" {
		return wire.Ack{}, model.Errorf(model.KindConflict, "a container of network mode %q has no networks of its own", mode)
	}
	others := slices.DeleteFunc(slices.Clone(c.request.Container.NICs), func(n model.NIC) bool { return n.NetworkID == network })
	c.request.Container.NICs = append(others, by...)
	return a.place(), nil
}

func (s *suite) networksHaveVersions() {
	member := model.Member{ContainerID: model.NewID(), AccountID: "account", MAC: "02:00:00:00:00:01", Address: netip.MustParseAddr("10.7.0.2")}
	network := model.Network{ID: "n", Name: "n", Kind: model.NetworkFabric, VNI: 7, Subnet: netip.MustParsePrefix("10.7.0.0/24"), Internal: true}
	whole := func(version uint64, members ...model.Member) wire.NodeNetworks {
		return wire.NodeNetworks{Version: version, NetworkState: model.NetworkState{Networks: []model.NetworkView{{Network: network, Members: members}}}}
	}
	first, second := whole(10), whole(12, member)
	set := func(d wire.NodeNetworks, want uint64) {
		s.Helper()
		v, err := s.agent.SetNetworks(s.ctx, d)
		s.ok(err)
		if v.Version != want {
			s.Errorf("the node says that it has version %d, want %d", v.Version, want)
		}
	}
	set(first, 10)
	set(first, 10)
	changes := wire.DiffNetworks(first, second)
	set(changes, 12)
	set(changes, 12)
	_, err := s.agent.SetNetworks(s.ctx, first)
	s.wantKind(model.KindConflict, err)
	_, err = s.agent.SetNetworks(s.ctx, wire.DiffNetworks(first, whole(20)))
	s.wantKind(model.KindConflict, err)
	set(wire.NodeNetworks{Version: 3, Force: true}, 3)
}

func (s *suite) networksComeAndGo() {
	network := model.Network{ID: "n", Name: "n", Kind: model.NetworkFabric, VNI: 7, Subnet: netip.MustParsePrefix("10.7.0.0/24"), Internal: true}
	nic := model.NIC{NetworkID: "n", Interface: "eth0", MAC: "02:00:00:00:00:01", Address: netip.MustParsePrefix("10.7.0.2/24")}
	r := Request()
	r.Container.Spec.Network = ""
	id := r.Container.ID
	s.must(s.agent.Create(s.ctx, r))
	s.must(s.agent.Connect(s.ctx, id, wire.ConnectRequest{NIC: nic, Network: network}))
	s.must(s.agent.Start(s.ctx, id))
	for range 2 {
		s.must(s.agent.Disconnect(s.ctx, id, wire.DisconnectRequest{NetworkID: "n"}))
	}
	for range 2 {
		s.must(s.agent.Connect(s.ctx, id, wire.ConnectRequest{NIC: nic, Network: network}))
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
	_, err := s.agent.Connect(s.ctx, id, wire.ConnectRequest{NIC: nic, Network: network})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Disconnect(s.ctx, id, wire.DisconnectRequest{NetworkID: "n"})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Connect(s.ctx, s.create(), wire.ConnectRequest{NIC: nic, Network: network})
	s.wantKind(model.KindConflict, err)
}

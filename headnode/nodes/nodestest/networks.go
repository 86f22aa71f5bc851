package nodestest

import (
	"context"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Networks is what the node was told of networks last.
func (a *Agent) Networks() wire.NodeNetworks {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.networks
}

// NICs are a container's as the node has them.
func (a *Agent) NICs(id string) []model.NIC {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return nil
	}
	return slices.Clone(c.spec.NICs)
}

// SetNetworks implements wire.Agent.
func (a *Agent) SetNetworks(_ context.Context, d wire.NodeNetworks) (wire.NetworksVersion, error) {
	if err := a.enter(); err != nil {
		return wire.NetworksVersion{}, err
	}
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

// rewire replaces the container's NIC on a network.
func (a *Agent) rewire(id, network string, by ...model.NIC) (wire.Ack, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(c.spec.NICs), func(n model.NIC) bool { return n.NetworkID == network })
	c.spec.NICs = append(others, by...)
	return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}, nil
}

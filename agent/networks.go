package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// networks is what heads told of networks last. It is kept in a file, so that
// a node that starts and sees no head still knows who is where.
type networks struct {
	path string

	mu  sync.Mutex
	now wire.NodeNetworks
}

// openNetworks has the network driver go on with what was told last.
func (a *Agent) openNetworks(ctx context.Context, path string) error {
	a.networks.path = path
	err := atomicfile.ReadJSON(path, &a.networks.now)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		a.log.Warn("cannot read what heads told of networks; waiting for them to tell it again", "op", "recover", "err", err)
		a.networks.now = wire.NodeNetworks{}
	}
	return a.drivers.Network.SetNetworks(ctx, a.networks.now.NetworkState)
}

// SetNetworks implements wire.Agent. What was told is kept before it is acted
// by: a crash in between is made good when the agent starts.
func (a *Agent) SetNetworks(ctx context.Context, d wire.NodeNetworks) (wire.NetworksVersion, error) {
	n := &a.networks
	n.mu.Lock()
	defer n.mu.Unlock()
	next, err := n.now.Apply(d)
	if err != nil {
		return wire.NetworksVersion{Version: n.now.Version}, err
	}
	if err := atomicfile.WriteJSON(n.path, next, 0o600); err != nil {
		return wire.NetworksVersion{Version: n.now.Version}, fmt.Errorf("cannot keep what was told of networks: %w", err)
	}
	n.now = next
	if err := failpoint.Hit("agent/networks-kept"); err != nil {
		return wire.NetworksVersion{Version: n.now.Version}, err
	}
	// Work that was begun is carried to its end.
	if err := a.drivers.Network.SetNetworks(context.WithoutCancel(ctx), next.NetworkState); err != nil {
		return wire.NetworksVersion{Version: n.now.Version}, fmt.Errorf("cannot act by what was told of networks: %w", err)
	}
	return wire.NetworksVersion{Version: n.now.Version}, nil
}

// Connect implements wire.Agent.
func (a *Agent) Connect(ctx context.Context, id string, r wire.ConnectRequest) (wire.Ack, error) {
	if r.NIC.NetworkID == "" || r.NIC.NetworkID != r.Network.ID {
		return wire.Ack{}, model.Errorf(model.KindInvalid, "the network of interface %s is not given", r.NIC.Interface)
	}
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Connect(ctx, r)
}

// Disconnect implements wire.Agent.
func (a *Agent) Disconnect(ctx context.Context, id string, r wire.DisconnectRequest) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Disconnect(ctx, r)
}

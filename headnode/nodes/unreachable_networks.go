package nodes

import (
	"context"

	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) SetNetworks(context.Context, wire.NodeNetworks) (wire.NetworksVersion, error) {
	return wire.NetworksVersion{}, errUnreachable
}

func (unreachable) Connect(context.Context, string, wire.ConnectRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) Disconnect(context.Context, string, wire.DisconnectRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

package nodes

import (
	"context"

	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) OfferContainer(context.Context, string, wire.OfferRequest) error {
	return errUnreachable
}

func (unreachable) DepartContainer(context.Context, string, wire.StopRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) StayContainer(context.Context, string, wire.StayRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

func (unreachable) FetchContainer(context.Context, wire.FetchRequest) (wire.Fetched, error) {
	return wire.Fetched{}, errUnreachable
}

func (unreachable) FetchProgress(context.Context, string) (wire.Fetched, error) {
	return wire.Fetched{}, errUnreachable
}

func (unreachable) ArriveContainer(context.Context, wire.CreateRequest) (wire.Ack, error) {
	return wire.Ack{}, errUnreachable
}

package nodes

import (
	"context"

	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) OfferVolume(context.Context, string, wire.OfferRequest) error {
	return errUnreachable
}

func (unreachable) FetchVolume(context.Context, wire.FetchVolumeRequest) (wire.Fetched, error) {
	return wire.Fetched{}, errUnreachable
}

func (unreachable) FetchVolumeProgress(context.Context, string) (wire.Fetched, error) {
	return wire.Fetched{}, errUnreachable
}

func (unreachable) SettleVolume(context.Context, string) error { return errUnreachable }

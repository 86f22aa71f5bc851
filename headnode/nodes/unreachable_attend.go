package nodes

import (
	"context"

	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) Attend(context.Context, wire.Attention) (wire.Standing, error) {
	return wire.Standing{}, errUnreachable
}

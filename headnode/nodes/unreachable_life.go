package nodes

import (
	"context"

	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) Life(context.Context) (wire.Life, error) { return wire.Life{}, errUnreachable }

package agent

import (
	"context"

	"github.com/spearheadcloud/spearhead/wire"
)

// Life implements wire.Agent.
func (a *Agent) Life(context.Context) (wire.Life, error) { return wire.Life{Boot: a.boot}, nil }

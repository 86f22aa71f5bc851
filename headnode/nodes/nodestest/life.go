package nodestest

import (
	"context"

	"github.com/spearheadcloud/spearhead/wire"
)

// Life implements wire.Agent.
func (a *Agent) Life(context.Context) (wire.Life, error) {
	if err := a.enter(); err != nil {
		return wire.Life{}, err
	}
	defer a.mu.Unlock()
	return wire.Life{Boot: a.epoch}, nil
}

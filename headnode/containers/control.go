package containers

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Pause implements dockerapi.Control.
func (s *Service) Pause(ctx context.Context, a model.Account, ref string) error {
	return s.act(ctx, a, ref, func(n wire.Agent, c model.Container) (wire.Ack, error) { return n.Pause(ctx, c.ID) })
}

// Unpause implements dockerapi.Control.
func (s *Service) Unpause(ctx context.Context, a model.Account, ref string) error {
	return s.act(ctx, a, ref, func(n wire.Agent, c model.Container) (wire.Ack, error) { return n.Unpause(ctx, c.ID) })
}

package wiretest

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/wire"
)

// Attend implements wire.Agent: it answers with what it was told.
func (a *Agent) Attend(_ context.Context, in wire.Attention) (wire.Standing, error) {
	s := wire.Standing{Mark: in.Mark + "+", StopAfter: time.Minute, Request: in.Certificate}
	if in.Gone != nil {
		s.Gone = in.Gone.Version
		for _, id := range in.Gone.Nodes {
			s.Held = append(s.Held, wire.Held{ID: id, Generation: len(in.Gone.Heads)})
		}
	}
	if in.Keyring != nil {
		s.Keyring = in.Keyring.Version
	}
	return s, nil
}

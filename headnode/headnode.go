package headnode

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
)

// Init creates the first head of a new data center in cfg.StateDir: the
// cluster's CA, this head's certificate, the gossip key and the data center's
// id. It refuses a directory that holds a head already, with KindConflict.
func Init(ctx context.Context, cfg Config) error {
	return model.Errorf(model.KindUnavailable, "not built yet")
}

// Run runs the head that Init made until ctx ends, and returns when everything
// that it started has stopped. It returns nil after an orderly stop.
func Run(ctx context.Context, cfg Config) error {
	return model.Errorf(model.KindUnavailable, "not built yet")
}

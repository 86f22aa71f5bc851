package agent

import (
	"context"
	"strings"

	"github.com/spearheadcloud/spearhead/agent/metrics"
	"github.com/spearheadcloud/spearhead/zfs"
)

// Pool implements metrics.Node.
func (a *Agent) Pool(ctx context.Context) (metrics.Pool, error) {
	if a.poolHealth == nil {
		return metrics.Pool{}, nil
	}
	return a.poolHealth(ctx)
}

// poolHealth asks how the pool is that the storage is made of, unlike a write
// also of one that works on without some of its disks; nil without ZFS.
func (p *parts) poolHealth(cfg Config) func(context.Context) (metrics.Pool, error) {
	if p.pool == nil {
		return nil
	}
	pools := zfs.NewPools(zfs.PoolsCommand(cfg.Storage.Command), cfg.Logger)
	name, _, _ := strings.Cut(cfg.Storage.Dataset, "/")
	return func(ctx context.Context) (metrics.Pool, error) {
		health, err := pools.Health(ctx, name)
		return metrics.Pool{Name: name, Health: health}, err
	}
}

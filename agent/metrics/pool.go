package metrics

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
)

// Pool is the pool of ZFS that containers' files are on.
type Pool struct {
	Name   string // "" where the node has none
	Health string // in zpool's words: ONLINE, DEGRADED and so on
}

// poolStates are all that zpool says, by the words for them in labels
// (zpoolconcepts(7), "Device Failure and Recovery").
var poolStates = map[string]string{
	"online": "ONLINE", "degraded": "DEGRADED", "faulted": "FAULTED", "offline": "OFFLINE", "removed": "REMOVED",
	"unavail": "UNAVAIL", "suspended": "SUSPENDED",
}

var poolHealth = describe("spearhead_agent_pool_health", "1 for the state that the node's pool is in, 0 for all others.", "pool", "state")

// pool tells how the pool is, which works on without some of its disks. One
// that does not answer is not asked: each question would hang for long.
func (c *collector) pool(ctx context.Context, e *emitter) {
	if fault, _, _ := c.node.Storage(); fault == model.StorageSilent {
		return
	}
	pool, err := c.node.Pool(ctx)
	if err != nil {
		c.log.Warn("cannot ask how the pool is", "op", "metrics", "err", err)
		return
	}
	if pool.Name == "" {
		return
	}
	for word, state := range poolStates {
		value := 0.0
		if state == pool.Health {
			value = 1
		}
		e.gauge(poolHealth, value, pool.Name, word)
	}
}

package nodes

import (
	"context"
	"reflect"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Connection is a node whose journal the leader has.
type Connection struct {
	NodeID string
	Agent  wire.Agent

	set *Set
}

// Drained returns when all that was in the node's journal at the time of the
// call has been committed. A sign of life is sent when nothing is left to
// send; the first one after the call may have been on its way before it, so
// the second is waited for.
func (c Connection) Drained(ctx context.Context) error {
	var began uint64
	c.set.update(c.NodeID, func(n *node) { began = n.quiet })
	for {
		var now uint64
		var next <-chan struct{}
		c.set.update(c.NodeID, func(n *node) { now, next = n.quiet, n.quieted })
		if now >= began+2 {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// atEnd notes that the journal was seen at its end.
func (n *node) atEnd() {
	n.quiet++
	n.ended = time.Now()
	close(n.quieted)
	n.quieted = make(chan struct{})
}

func sameInfo(a, b model.NodeInfo) bool { return reflect.DeepEqual(a, b) }

package agent

import (
	"context"

	"github.com/spearheadcloud/spearhead/agent/task"
)

// WrapRecords puts wrap between tasks to come and the records.
func (a *Agent) WrapRecords(wrap func(task.Records) task.Records) {
	a.node.Records = wrap(a.node.Records)
}

// WhilePaused is whilePaused.
func (a *Agent) WhilePaused(ctx context.Context, id string, work func() error) error {
	return a.whilePaused(ctx, id, work)
}

package agent

import "github.com/spearheadcloud/spearhead/agent/task"

// WrapRecords puts wrap between tasks to come and the records.
func (a *Agent) WrapRecords(wrap func(task.Records) task.Records) {
	a.node.Records = wrap(a.node.Records)
}

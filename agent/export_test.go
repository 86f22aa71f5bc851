package agent

import (
	"context"
	"testing"

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

// RecordedNetworks are the ids of the networks that a container's record says
// it is on.
func (a *Agent) RecordedNetworks(t testing.TB, id string) (networks []string) {
	t.Helper()
	records, err := a.records.Records()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Request.Container.ID != id {
			continue
		}
		for _, nic := range r.Request.Container.NICs {
			networks = append(networks, nic.NetworkID)
		}
	}
	return networks
}

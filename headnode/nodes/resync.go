package nodes

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// resync lets a node's journal begin anew, because it does not fit to what the
// state has of it: the state was restored from a backup, and the node has
// forgotten entries that were acknowledged since. What those said of
// containers is asked of the node itself; that some are missing or unknown is
// found by reconciliation when the journal is followed again.
func (s *Set) resync(ctx context.Context, nodeID string, agent wire.Agent, gap error) error {
	asking, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	records, err := agent.Containers(asking)
	if err != nil {
		return fmt.Errorf("cannot mend a gap in the journal of a node: %w", err)
	}
	reset := command.ResetJournal{NodeID: nodeID}
	for _, r := range records {
		reset.Containers = append(reset.Containers, command.ContainerFound{ID: r.ID, State: r.State})
	}
	if _, err := s.Store.Propose(ctx, reset); err != nil {
		return fmt.Errorf("cannot mend a gap in the journal of a node: %w", err)
	}
	s.Logger.Error("entries of a node's journal are missing for ever; its containers were asked for instead",
		slog.String("node", nodeID), slog.Any("err", gap))
	return gap
}

package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// errRestored ends a session whose journal the state does not know any more,
// so that another one begins with what the node has.
var errRestored = errors.New("the state was restored; the node is asked how it is")

// forget lets a node's journal begin anew, because it has a gap: the state is
// older than what the node was told is safe, as after the restore of a backup
// or the loss of most heads. The next session asks the node.
func (s *Set) forget(ctx context.Context, nodeID string, gap error) error {
	if _, err := s.Store.Propose(ctx, command.ResetJournal{NodeID: nodeID}); err != nil {
		return fmt.Errorf("cannot mend a gap in the journal of a node: %w", err)
	}
	s.Logger.Error("entries of a node's journal are missing for ever; its containers are asked for instead",
		slog.String("node", nodeID), slog.Any("err", gap))
	return gap
}

// resync asks a node how its containers are, if the state has some of them and
// does not know how far it has the journal: what was said of them in between
// is in no journal any more. That some are missing or unknown is found by
// reconciliation when the journal is followed again.
func (s *Set) resync(ctx context.Context, nodeID string, agent wire.Agent) error {
	v := s.Store.View()
	n, ok := v.Node(nodeID)
	if !ok || n.JournalEpoch != "" || !slices.ContainsFunc(v.ContainersOnNode(nodeID), created) {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	records, err := agent.Containers(asking)
	if err != nil {
		return fmt.Errorf("cannot ask a node for its containers: %w", err)
	}
	reset := command.ResetJournal{NodeID: nodeID}
	for _, r := range records {
		reset.Containers = append(reset.Containers, command.ContainerFound{ID: r.ID, State: r.State})
	}
	if _, err := s.Store.Propose(ctx, reset); err != nil {
		return fmt.Errorf("cannot record how the containers of a node are: %w", err)
	}
	return nil
}

func created(c *model.Container) bool { return c.Phase == model.PhaseCreated }

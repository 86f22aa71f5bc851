package networks

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Proposer is the part of Store that SettleNICs needs.
type Proposer interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
}

// SettleNICs tells a container's node of the NICs that it has and of those that
// it has no more, and records that. All of it can be repeated.
func SettleNICs(ctx context.Context, store Proposer, v *state.View, agent wire.Agent, c *model.Container) (wire.Ack, error) {
	var last wire.Ack
	for _, nic := range c.Leaving {
		ack, err := agent.Disconnect(ctx, c.ID, wire.DisconnectRequest{NetworkID: nic.NetworkID, Primary: primaryOf(c)})
		if err != nil {
			return last, err
		}
		last = ack
	}
	for _, nic := range c.NICs {
		n, ok := v.Network(nic.NetworkID)
		if !ok {
			continue
		}
		ack, err := agent.Connect(ctx, c.ID, wire.ConnectRequest{NIC: nic, Network: n})
		if err != nil {
			return last, err
		}
		last = ack
	}
	_, err := store.Propose(ctx, command.NICsTold{ContainerID: c.ID, NICs: c.NICs, Leaving: c.Leaving})
	return last, err
}

func primaryOf(c *model.Container) string {
	i := slices.IndexFunc(c.NICs, func(n model.NIC) bool { return n.Primary })
	if i < 0 {
		return ""
	}
	return c.NICs[i].NetworkID
}

// settleAfter is how long whoever changed a container's NICs has for telling
// its node; then the leader does.
const settleAfter = 5 * time.Second

// settle finishes what requests have left: NICs that a node was not told of,
// because a head or the node went away meanwhile. It returns when ctx ends.
func (s *Service) settle(ctx context.Context) {
	tick := time.NewTicker(settleAfter)
	defer tick.Stop()
	seen := map[string]bool{}
	for {
		v, stale := s.store.View(), map[string]bool{}
		for _, c := range v.RewiredContainers() {
			stale[c.ID] = true
			if !seen[c.ID] || !s.agents.Connected(c.NodeID) {
				continue
			}
			if _, err := SettleNICs(ctx, s.store, v, s.agents.Agent(c.NodeID), c); err != nil {
				s.log.Warn("cannot tell node of a container's networks", slog.String("container", c.ID), slog.String("node", c.NodeID), slog.Any("err", err))
			}
		}
		seen = stale
		s.finishRemovals(ctx, v)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// finishRemovals forgets networks that were removed under containers which did
// not run, when their nodes have let go of them.
func (s *Service) finishRemovals(ctx context.Context, v *state.View) {
	for _, n := range v.Networks() {
		if !n.Removing || len(v.ContainersOnNetwork(n.ID)) > 0 {
			continue
		}
		if _, err := s.store.Propose(ctx, command.RemoveNetwork{ID: n.ID, Time: time.Now().UTC()}); err != nil {
			s.log.Warn("cannot forget a removed network", slog.String("network", n.ID), slog.Any("err", err))
		}
	}
}

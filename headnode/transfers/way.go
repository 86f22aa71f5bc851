package transfers

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	// A copy is repeated while the container runs, so often at most, until no
	// more than littleChanged bytes have come with it.
	maxRounds     = 5
	littleChanged = 16 << 20
)

// step is one thing to be done with a container, and with those of its company.
type step func(context.Context, model.Container) error

// finish does what is to be done with one container until there is nothing
// more, or ctx ends. A way that is being undone, or that is complete, is gone to
// its end.
func (s *Service) finish(ctx context.Context, id string) {
	s.follow(ctx, s.Logger.With(slog.String("container", id)), func() (deed, bool) {
		c, do, release, err := s.turn(ctx, id)
		if err != nil || do == nil {
			return deed{}, false
		}
		d := deed{do: func(ctx context.Context) error {
			defer release()
			return do(ctx, c)
		}}
		if c.Transfer != nil && c.Transfer.Step != model.TransferUndoing {
			d.undo = func(ctx context.Context, cause error) error { return s.undo(ctx, &c, cause) }
		}
		return d, true
	})
}

// turn waits until nobody else works on a container and its company, and tells
// what to do with it; nil is nothing. The only error is that of ctx.
func (s *Service) turn(ctx context.Context, id string) (c model.Container, do step, release func(), err error) {
	for {
		before, do := s.due(id)
		if do == nil {
			return before, nil, nil, nil
		}
		ids := before.Transfer.Company(id)
		release, err := s.claims.take(ctx, ids)
		if err != nil {
			return before, nil, nil, err
		}
		now, do := s.due(id)
		if do != nil && slices.Equal(ids, now.Transfer.Company(id)) {
			return now, do, release, nil
		}
		release()
	}
}

// due is a container as it is now, and what is to be done with it.
func (s *Service) due(id string) (model.Container, step) {
	c, ok := s.Store.View().Container(id)
	if !ok {
		return c, nil
	}
	return c, s.next(&c)
}

// pause waits before a step is tried again: no event tells that a node is well.
func (s *Service) pause(ctx context.Context) {
	timer := time.NewTimer(s.RetryAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// next is what to do with a container, or nil.
func (s *Service) next(c *model.Container) step {
	switch {
	case c.Transfer != nil && !c.Transfer.CarriedBy(c.ID):
		return nil // another carries the way
	case c.Transfer != nil && c.Transfer.Step == model.TransferAsked:
		return s.choose
	case c.Transfer != nil && c.Transfer.Step == model.TransferCopying:
		return s.copy
	case c.Transfer != nil && c.Transfer.Step == model.TransferStopping:
		return s.cross
	case c.Transfer != nil:
		return s.stay
	case c.Move != nil && c.Move.Fetched:
		return s.arrive
	case len(c.Former) > 0:
		return s.tidy
	}
	return nil
}

func (s *Service) undo(ctx context.Context, c *model.Container, cause error) error {
	_, err := s.Decisions.Propose(ctx, command.StepTransfer{
		ID: c.ID, Operation: c.Transfer.Operation, Step: model.TransferUndoing, Failure: model.UserText(cause),
	})
	return err
}

// choose has a node chosen. What former ways have left is removed first where
// that can be done: a node that has an old copy cannot be chosen.
func (s *Service) choose(ctx context.Context, c model.Container) error {
	for _, member := range company(s.Store.View(), &c) {
		if err := s.tidy(ctx, member); err != nil && ctx.Err() == nil {
			s.Logger.Info("an old copy of a container that is to move is still there", slog.String("container", member.ID), slog.Any("err", err))
		}
	}
	return s.Containers.PlaceTransfer(ctx, c.ID)
}

// copy brings the files to the new node while the containers run.
func (s *Service) copy(ctx context.Context, c model.Container) error {
	if err := failpoint.Hit("head.transfer.placed"); err != nil {
		return err
	}
	for range maxRounds {
		bytes, running, err := s.fetchAll(ctx, c, c.Transfer.Rate)
		if err != nil {
			return err
		}
		if bytes <= littleChanged || !running {
			break
		}
	}
	if err := failpoint.Hit("head.transfer.copied"); err != nil {
		return err
	}
	_, err := s.Decisions.Propose(ctx, command.StepTransfer{ID: c.ID, Operation: c.Transfer.Operation, Step: model.TransferStopping})
	return err
}

// fetch has the new node make its copy what the container is.
func (s *Service) fetch(ctx context.Context, c model.Container, rate int64) (wire.Fetched, error) {
	request, err := s.Containers.ComingRequest(ctx, c)
	if err != nil {
		return wire.Fetched{}, err
	}
	from, ok := s.Store.View().Node(c.NodeID)
	if !ok {
		return wire.Fetched{}, model.Errorf(model.KindConflict, "the container's node was removed")
	}
	if err := s.Agent(c.NodeID).OfferContainer(ctx, c.ID, wire.OfferRequest{To: c.Transfer.To}); err != nil {
		return wire.Fetched{}, err
	}
	ctx, stop := s.whileConnected(ctx, from.ID)
	defer stop()
	fetched, err := s.Agent(c.Transfer.To).FetchContainer(ctx, wire.FetchRequest{
		Create: request, From: wire.Holder{NodeID: from.ID, Address: from.Address}, Rate: rate,
	})
	if err != nil && context.Cause(ctx) == errOriginGone {
		err = errOriginGone
	}
	return fetched, err
}

var errOriginGone = model.Errorf(model.KindUnavailable, "the container's node cannot be reached")

// whileConnected ends a context when a node is out of reach: who fetches from it
// may wait for its next byte for ever.
func (s *Service) whileConnected(ctx context.Context, nodeID string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(s.RetryAfter)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if !s.Connected(nodeID) {
					cancel(errOriginGone)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}

// cross stops the containers, brings what has changed since to the new node, and
// makes them that node's.
func (s *Service) cross(ctx context.Context, c model.Container) error {
	if err := failpoint.Hit("head.transfer.stopping"); err != nil {
		return err
	}
	acks, err := s.depart(ctx, c)
	if err != nil {
		return err
	}
	if err := failpoint.Hit("head.transfer.stopped"); err != nil {
		return err
	}
	if _, _, err := s.fetchAll(ctx, c, 0); err != nil {
		return err
	}
	// Their ends have to be in the state, which hears no more of the old node then.
	for _, ack := range acks {
		if err := s.Containers.See(ctx, c.NodeID, ack); err != nil {
			return err
		}
	}
	if err := failpoint.Hit("head.transfer.fetched"); err != nil {
		return err
	}
	_, err = s.Decisions.Propose(ctx, command.CompleteTransfer{ID: c.ID, Operation: c.Transfer.Operation, Time: time.Now().UTC()})
	return err
}

// arrive has the new node make the container of what it fetched, and start it.
func (s *Service) arrive(ctx context.Context, c model.Container) error {
	if err := failpoint.Hit("head.transfer.complete"); err != nil {
		return err
	}
	request, err := s.Containers.ComingRequest(ctx, c)
	if err != nil {
		return err
	}
	agent := s.Agent(c.NodeID)
	ack, err := agent.ArriveContainer(ctx, request)
	if err != nil {
		return err
	}
	if err := failpoint.Hit("head.transfer.arrived"); err != nil {
		return err
	}
	if c.Move.Start {
		if err := s.awaitJoined(ctx, &c); err != nil {
			return err
		}
	}
	stays, err := agent.StayContainer(ctx, c.ID, wire.StayRequest{Start: c.Move.Start})
	switch {
	case err == nil:
		ack = stays
	case model.IsKind(err, model.KindUnavailable):
		return err
	default:
		// It has arrived all the same; the journal says to its owner why it
		// does not run.
		s.Logger.Warn("a container that was moved does not start", slog.String("container", c.ID), slog.String("node", c.NodeID), slog.Any("err", err))
	}
	if err := s.Containers.See(ctx, c.NodeID, ack); err != nil {
		return err
	}
	_, err = s.Decisions.Propose(ctx, command.SettleMove{ID: c.ID, Generation: c.Generation})
	return err
}

// tidy removes copies that are not the container. Those on nodes that do not
// answer hold back no others.
func (s *Service) tidy(ctx context.Context, c model.Container) error {
	var failed error
	for _, former := range slices.Clone(c.Former) {
		if err := s.tidyOne(ctx, &c, former); err != nil {
			failed = err
		}
	}
	return failed
}

func (s *Service) tidyOne(ctx context.Context, c *model.Container, former model.FormerCopy) error {
	if err := failpoint.Hit("head.transfer.tidy"); err != nil {
		return err
	}
	if former.NodeID == c.NodeID && former.Generation >= c.Generation {
		return model.Errorf(model.KindInternal, "a former copy is the container itself")
	}
	ack, err := s.Agent(former.NodeID).Remove(ctx, c.ID, wire.RemoveRequest{Force: true, Generation: &former.Generation})
	if err != nil {
		return err
	}
	if err := s.Containers.See(ctx, former.NodeID, ack); err != nil {
		return err
	}
	_, err = s.Decisions.Propose(ctx, command.DropFormer{ID: c.ID, Former: former})
	return err
}

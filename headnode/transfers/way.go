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

// finish does what is to be done with one container until there is nothing
// more, or ctx ends.
func (s *Service) finish(ctx context.Context, id string) {
	log := s.Logger.With(slog.String("container", id))
	var failing time.Time // since when steps have failed in a row
	complaint := ""
	for ctx.Err() == nil {
		c, ok := s.Store.View().Container(id)
		step := s.next(&c)
		if !ok || step == nil {
			return
		}
		err := step(ctx, c)
		switch {
		case err == nil:
			failing, complaint = time.Time{}, ""
			continue
		case ctx.Err() != nil:
			return
		case complaint != err.Error():
			complaint = err.Error()
			log.Warn("a step of a container's move failed", slog.Any("err", err))
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		if s.hopeless(&c, err, time.Since(failing)) {
			if err := s.undo(ctx, &c, err); err == nil {
				failing = time.Time{}
				continue
			}
		}
		s.pause(ctx)
	}
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
func (s *Service) next(c *model.Container) func(context.Context, model.Container) error {
	switch {
	case c.Transfer != nil && c.Transfer.Step == model.TransferAsked:
		return func(ctx context.Context, c model.Container) error { return s.Containers.PlaceTransfer(ctx, c.ID) }
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

// hopeless reports whether a way is to be undone because of a failed step. One
// that is being undone, or that is complete, is gone to its end.
func (s *Service) hopeless(c *model.Container, err error, since time.Duration) bool {
	if c.Transfer == nil || c.Transfer.Step == model.TransferUndoing {
		return false
	}
	return !model.IsKind(err, model.KindUnavailable) || since >= s.Patience
}

func (s *Service) undo(ctx context.Context, c *model.Container, cause error) error {
	_, err := s.Decisions.Propose(ctx, command.StepTransfer{
		ID: c.ID, Operation: c.Transfer.Operation, Step: model.TransferUndoing, Failure: model.UserText(cause),
	})
	return err
}

// copy brings the files to the new node while the container runs.
func (s *Service) copy(ctx context.Context, c model.Container) error {
	if err := failpoint.Hit("head.transfer.placed"); err != nil {
		return err
	}
	for range maxRounds {
		fetched, err := s.fetch(ctx, c, c.Transfer.Rate)
		if err != nil {
			return err
		}
		if fetched.Bytes <= littleChanged || !c.State.Status.Running() {
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

// cross stops the container, brings what has changed since to the new node, and
// makes it that node's.
func (s *Service) cross(ctx context.Context, c model.Container) error {
	if err := failpoint.Hit("head.transfer.stopping"); err != nil {
		return err
	}
	ack, err := s.Agent(c.NodeID).DepartContainer(ctx, c.ID, wire.StopRequest{})
	if err != nil {
		return err
	}
	if err := failpoint.Hit("head.transfer.stopped"); err != nil {
		return err
	}
	if _, err := s.fetch(ctx, c, 0); err != nil {
		return err
	}
	// Its end has to be in the state, which hears no more of the old node then.
	if err := s.Containers.See(ctx, c.NodeID, ack); err != nil {
		return err
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

// stay has the old node keep the container after all.
func (s *Service) stay(ctx context.Context, c model.Container) error {
	if err := failpoint.Hit("head.transfer.undoing"); err != nil {
		return err
	}
	ack, err := s.Agent(c.NodeID).StayContainer(ctx, c.ID, wire.StayRequest{Start: c.Transfer.Start})
	switch {
	case model.IsKind(err, model.KindUnavailable):
		return err
	case err != nil && !model.IsKind(err, model.KindNotFound):
		s.Logger.Warn("a container that was not moved after all does not start again", slog.String("container", c.ID), slog.Any("err", err))
	case err == nil:
		if err := s.Containers.See(ctx, c.NodeID, ack); err != nil {
			return err
		}
	}
	_, err = s.Decisions.Propose(ctx, command.EndTransfer{ID: c.ID, Operation: c.Transfer.Operation, Time: time.Now().UTC()})
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

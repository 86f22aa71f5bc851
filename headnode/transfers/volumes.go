package transfers

import (
	"context"
	"log/slog"
	"time"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// movingVolumes lists the volumes with a way of their own, by their ids.
func movingVolumes(v *state.View) (ids []string) {
	for _, vol := range v.MovingVolumes() {
		ids = append(ids, vol.ID)
	}
	return ids
}

// finishVolume goes a volume's way to its end, or until ctx ends.
func (s *Service) finishVolume(ctx context.Context, id string) {
	s.follow(ctx, s.Logger.With(slog.String("volume", id)), func() (deed, bool) {
		vol, ok := s.Store.View().Volume(id)
		switch {
		case !ok || vol.Move == nil:
			return deed{}, false
		case vol.Move.Step == model.TransferCopying:
			return deed{
				do:   func(ctx context.Context) error { return s.bring(ctx, vol) },
				undo: func(ctx context.Context, cause error) error { return s.keep(ctx, vol, cause) },
			}, true
		}
		return deed{do: func(ctx context.Context) error { return s.settle(ctx, vol) }}, true
	})
}

// bring copies a volume to its new node, and makes it that node's.
func (s *Service) bring(ctx context.Context, vol model.Volume) error {
	if err := failpoint.Hit("head.volume.asked"); err != nil {
		return err
	}
	v := s.Store.View()
	from, here := v.Node(vol.NodeID)
	to, there := v.Node(vol.Move.To)
	if !here || !there {
		return model.Errorf(model.KindConflict, "a node of the move was removed")
	}
	if err := s.Agent(from.ID).OfferVolume(ctx, vol.ID, wire.OfferRequest{To: to.ID}); err != nil {
		return err
	}
	if err := s.checkSnapshots(ctx, vol, from, to); err != nil {
		return err
	}
	if err := s.fetchVolume(ctx, vol, from); err != nil {
		return err
	}
	if err := failpoint.Hit("head.volume.copied"); err != nil {
		return err
	}
	_, err := s.Decisions.Propose(ctx, command.StepVolumeMove{ID: vol.ID, Operation: vol.Move.Operation, Step: model.TransferSettling})
	return err
}

// checkSnapshots refuses to leave snapshots behind. None can be taken while the
// volume is offered.
func (s *Service) checkSnapshots(ctx context.Context, vol model.Volume, from, to model.Node) error {
	if !from.Info.VolumeQuota || to.Info.VolumeQuota {
		return nil
	}
	all, err := s.Agent(from.ID).VolumeSnapshots(ctx, vol.ID)
	if err != nil || len(all) == 0 {
		return err
	}
	return model.Errorf(model.KindConflict, "it has %d snapshots, which node %s cannot hold without ZFS; choose another node, or remove them", len(all), to.Name)
}

// fetchVolume has the new node make its copy what the volume is.
func (s *Service) fetchVolume(ctx context.Context, vol model.Volume, from model.Node) error {
	ctx, stop := s.whileConnected(ctx, from.ID)
	defer stop()
	ctx, end := s.whileCopied(ctx, vol)
	defer end()
	_, err := s.Agent(vol.Move.To).FetchVolume(ctx, wire.FetchVolumeRequest{
		Volume: wire.VolumeRef{ID: vol.ID, Size: vol.Size}, From: wire.Holder{NodeID: from.ID, Address: from.Address}, Rate: vol.Move.Rate,
	})
	if err != nil && context.Cause(ctx) == errOriginGone {
		return errOriginGone
	}
	return err
}

// whileCopied ends a context when a volume is not to be copied any more, for it
// was removed, or its new node was.
func (s *Service) whileCopied(ctx context.Context, vol model.Volume) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		// The only error is that of the context.
		_ = s.Store.Wait(ctx, func(v *state.View) (bool, error) {
			now, ok := v.Volume(vol.ID)
			return !ok || now.Move == nil || now.Move.Operation != vol.Move.Operation || now.Move.Step != model.TransferCopying, nil
		})
	}()
	return ctx, func() {
		cancel()
		<-ended
	}
}

// keep has a volume stay where it is.
func (s *Service) keep(ctx context.Context, vol model.Volume, cause error) error {
	_, err := s.Decisions.Propose(ctx, command.StepVolumeMove{
		ID: vol.ID, Operation: vol.Move.Operation, Step: model.TransferUndoing, Failure: model.UserText(cause),
	})
	return err
}

// settle ends the way at the node that has the volume. Until then nobody removes
// the other copy, so that a fetch which is late finds nothing on offer and leaves
// nothing behind.
func (s *Service) settle(ctx context.Context, vol model.Volume) error {
	if err := failpoint.Hit("head.volume.settling"); err != nil {
		return err
	}
	err := s.Agent(vol.NodeID).SettleVolume(ctx, vol.ID)
	if err != nil && !model.IsKind(err, model.KindNotImplemented) { // a node that knows of no offers has made none
		return err
	}
	if err := failpoint.Hit("head.volume.settled"); err != nil {
		return err
	}
	_, err = s.Decisions.Propose(ctx, command.EndVolumeMove{ID: vol.ID, Operation: vol.Move.Operation, Time: time.Now().UTC()})
	return err
}
